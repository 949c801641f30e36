"""Former addresses of the drivers, which are now `onebrain.services.<name>.driver`."""
