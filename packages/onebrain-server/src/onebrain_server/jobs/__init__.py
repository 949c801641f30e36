"""What the server does by itself: writing counts, tidying up, delivering briefings."""
