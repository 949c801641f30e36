SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA onebrain;
CREATE TABLE onebrain.gone (
    tenant text NOT NULL,
    space bigint NOT NULL,
    seq bigint NOT NULL,
    "row" bigint NOT NULL
);
ALTER TABLE ONLY onebrain.gone FORCE ROW LEVEL SECURITY;
CREATE TABLE onebrain.memory (
    tenant text NOT NULL,
    space bigint NOT NULL,
    "row" bigint NOT NULL,
    seq bigint NOT NULL,
    identity bytea NOT NULL,
    owner bytea NOT NULL,
    id text NOT NULL,
    "user" text NOT NULL,
    agent text,
    session text,
    content text NOT NULL,
    title text,
    type text,
    tags text NOT NULL,
    metadata text NOT NULL,
    importance double precision,
    source text,
    pinned boolean NOT NULL,
    archived boolean NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    expires_at bigint,
    extra text NOT NULL,
    sealed bytea
);
ALTER TABLE ONLY onebrain.memory FORCE ROW LEVEL SECURITY;
CREATE SEQUENCE onebrain.memory_row
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE onebrain.migration (
    version integer NOT NULL,
    at timestamp with time zone NOT NULL
);
CREATE TABLE onebrain.note (
    tenant text NOT NULL,
    space bigint NOT NULL,
    "row" bigint NOT NULL,
    data bytea NOT NULL
);
ALTER TABLE ONLY onebrain.note FORCE ROW LEVEL SECURITY;
CREATE TABLE onebrain.setting (
    name text NOT NULL,
    value bytea NOT NULL
);
CREATE TABLE onebrain.space (
    tenant text NOT NULL,
    key bigint NOT NULL,
    label bytea NOT NULL,
    name text NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    embedder text,
    dimension integer,
    snapshot text,
    filled bigint,
    filling bigint,
    served boolean DEFAULT false NOT NULL
);
ALTER TABLE ONLY onebrain.space FORCE ROW LEVEL SECURITY;
ALTER TABLE onebrain.space ALTER COLUMN key ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME onebrain.space_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE onebrain.vector (
    tenant text NOT NULL,
    space bigint NOT NULL,
    "row" bigint NOT NULL,
    data public.vector,
    sealed bytea
);
ALTER TABLE ONLY onebrain.vector FORCE ROW LEVEL SECURITY;
CREATE TABLE onebrain.word (
    tenant text NOT NULL,
    space bigint NOT NULL,
    "row" bigint NOT NULL,
    part smallint NOT NULL,
    length integer NOT NULL,
    words tsvector NOT NULL
);
ALTER TABLE ONLY onebrain.word FORCE ROW LEVEL SECURITY;
CREATE TABLE public.graph_entity (
    tenant text NOT NULL,
    id text NOT NULL,
    name_key text NOT NULL,
    type text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE ONLY public.graph_entity FORCE ROW LEVEL SECURITY;
CREATE TABLE public.graph_link (
    tenant text NOT NULL,
    id text NOT NULL,
    entity_id text NOT NULL,
    memory_id text NOT NULL,
    link_type text NOT NULL,
    created_at bigint NOT NULL
);
ALTER TABLE ONLY public.graph_link FORCE ROW LEVEL SECURITY;
CREATE TABLE public.graph_relation (
    tenant text NOT NULL,
    id text NOT NULL,
    source_id text NOT NULL,
    target_id text NOT NULL,
    relation text NOT NULL,
    created_at bigint NOT NULL
);
ALTER TABLE ONLY public.graph_relation FORCE ROW LEVEL SECURITY;
CREATE TABLE public.graph_revision (
    tenant text NOT NULL,
    revision bigint NOT NULL
);
ALTER TABLE ONLY public.graph_revision FORCE ROW LEVEL SECURITY;
CREATE TABLE public.graph_schema (
    version integer NOT NULL
);
CREATE TABLE public.server_account (
    id character varying(36) NOT NULL,
    email character varying(320) NOT NULL,
    password character varying(256),
    display_name character varying(256),
    locale character varying(8) DEFAULT 'en'::character varying NOT NULL,
    role character varying(16) DEFAULT 'user'::character varying NOT NULL,
    plan character varying(32) DEFAULT 'free'::character varying NOT NULL,
    is_active boolean NOT NULL,
    created_at bigint NOT NULL,
    revision bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.server_activity (
    tenant character varying(36) NOT NULL,
    id character varying(36) NOT NULL,
    key_id character varying(36) NOT NULL,
    action character varying(32) NOT NULL,
    resource character varying(64) NOT NULL,
    status character varying(16) NOT NULL,
    details character varying(2048),
    created_at bigint NOT NULL
);
ALTER TABLE ONLY public.server_activity FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_api_key (
    tenant character varying(36) NOT NULL,
    id character varying(36) NOT NULL,
    prefix character varying(32) NOT NULL,
    secret_hash character varying(64) NOT NULL,
    name character varying(256) NOT NULL,
    description character varying(1024),
    scopes character varying(512) NOT NULL,
    trust_level character varying(16) NOT NULL,
    is_active boolean NOT NULL,
    rate_limit_per_min integer,
    last_used_at bigint,
    last_synced_at bigint,
    expires_at bigint,
    created_at bigint NOT NULL
);
ALTER TABLE ONLY public.server_api_key FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_audit (
    tenant character varying(36) NOT NULL,
    id character varying(36) NOT NULL,
    actor character varying(64) NOT NULL,
    action character varying(64) NOT NULL,
    target character varying(512),
    ip_address character varying(64),
    request_id character varying(128),
    created_at bigint NOT NULL
);
ALTER TABLE ONLY public.server_audit FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_delivery (
    tenant character varying(36) NOT NULL,
    id character varying(36) NOT NULL,
    service character varying(24) NOT NULL,
    target character varying(64) NOT NULL,
    attempt integer NOT NULL,
    due_at bigint NOT NULL,
    created_at bigint NOT NULL,
    payload bytea NOT NULL
);
ALTER TABLE ONLY public.server_delivery FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_idempotency (
    tenant character varying(36) NOT NULL,
    key_digest character varying(64) NOT NULL,
    fingerprint character varying(64) NOT NULL,
    status integer NOT NULL,
    body bytea,
    created_at bigint NOT NULL
);
ALTER TABLE ONLY public.server_idempotency FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_link (
    tenant character varying(36) NOT NULL,
    id character varying(36) NOT NULL,
    kind character varying(24) NOT NULL,
    owner_id character varying(512) NOT NULL,
    memory_id character varying(512) NOT NULL,
    link_type character varying(100) NOT NULL,
    created_at bigint NOT NULL
);
ALTER TABLE ONLY public.server_link FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_rate (
    bucket character varying(160) NOT NULL,
    window_start bigint NOT NULL,
    count integer NOT NULL
);
CREATE TABLE public.server_record (
    tenant character varying(36) NOT NULL,
    kind character varying(24) NOT NULL,
    id character varying(64) NOT NULL,
    unique_key character varying(64),
    status character varying(24),
    label character varying(64),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE ONLY public.server_record FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_revision (
    tenant character varying(36) NOT NULL,
    memory_row bigint NOT NULL,
    changed_at bigint NOT NULL,
    memory_id character varying(512) NOT NULL,
    created_at bigint NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE ONLY public.server_revision FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_schema (
    version integer NOT NULL
);
CREATE SEQUENCE public.server_schema_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.server_schema_version_seq OWNED BY public.server_schema.version;
CREATE TABLE public.server_session (
    tenant character varying(36) NOT NULL,
    id character varying(36) NOT NULL,
    token_hash character varying(64) NOT NULL,
    ip_address character varying(64),
    user_agent character varying(512),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
ALTER TABLE ONLY public.server_session FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_setting (
    name character varying(64) NOT NULL,
    value character varying
);
CREATE TABLE public.server_tombstone (
    tenant character varying(36) NOT NULL,
    memory_id character varying(512) NOT NULL,
    deleted_at bigint NOT NULL
);
ALTER TABLE ONLY public.server_tombstone FORCE ROW LEVEL SECURITY;
CREATE TABLE public.server_usage (
    tenant character varying(36) NOT NULL,
    day character varying(10) NOT NULL,
    route character varying(128) NOT NULL,
    count integer NOT NULL,
    errors integer NOT NULL,
    tokens integer NOT NULL
);
ALTER TABLE ONLY public.server_usage FORCE ROW LEVEL SECURITY;
ALTER TABLE ONLY public.server_schema ALTER COLUMN version SET DEFAULT nextval('public.server_schema_version_seq'::regclass);
INSERT INTO onebrain.gone VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 1, 5, 3);
INSERT INTO onebrain.memory VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 1, 1, 1, '\x95ff216386cf6467fb9a2ec08ecc783f', '\xcae66941d9efbd404e4d88758ea67670', '01a22b4c-5adf-7391-ab74-cf4993d1d8f8', '', NULL, NULL, 'Maria prefers window seats', 'Maria pref', 'fact', '[]', '{}', NULL, NULL, false, false, 1796022754200571, 1796022754200571, NULL, '{"sourceType":"user_input","confidence":1,"status":"active"}', NULL),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 1, 2, 4, '\xa929bcf66c748765b74326653ea1e8e9', '\xcae66941d9efbd404e4d88758ea67670', '01a22b4c-5cfe-75d3-9923-791854398618', '', NULL, NULL, 'The boiler was repaired in June', 'The boiler', 'fact', '[]', '{}', NULL, NULL, false, false, 1796022754559119, 1796022755101945, NULL, '{"sourceType":"user_input","confidence":1,"status":"active"}', NULL),
	('engine', 2, 4, 1, '\x1240a4684403b160e6597a653a88f56c', '\xcae66941d9efbd404e4d88758ea67670', '0', '', NULL, NULL, 'fact 0', NULL, NULL, '[]', '{}', NULL, NULL, false, false, 1796022757583253, 1796022757583253, NULL, '{}', NULL),
	('engine', 2, 5, 2, '\xcea3878a334b240469d159ff840b6434', '\xcae66941d9efbd404e4d88758ea67670', '1', '', NULL, NULL, 'fact 1', NULL, NULL, '[]', '{}', NULL, NULL, false, false, 1796022757583253, 1796022757583253, NULL, '{}', NULL),
	('engine', 2, 6, 3, '\x4129e2a8044a57ce7635fd6023661cd6', '\xcae66941d9efbd404e4d88758ea67670', '2', '', NULL, NULL, 'fact 2', NULL, NULL, '[]', '{}', NULL, NULL, false, false, 1796022757583253, 1796022757583253, NULL, '{}', NULL);
INSERT INTO onebrain.migration VALUES
	(1, '2026-11-30 07:12:34.243983+00'),
	(2, '2026-11-30 07:12:34.243983+00'),
	(3, '2026-11-30 07:12:34.243983+00');
INSERT INTO onebrain.space OVERRIDING SYSTEM VALUE VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 1, '\xcae66941d9efbd404e4d88758ea67670', '', 5, 'wordllama:l2_supercat_256', 256, NULL, NULL, NULL, false),
	('engine', 2, '\xcae66941d9efbd404e4d88758ea67670', '', 3, 'caller', 2, NULL, NULL, NULL, false);
INSERT INTO onebrain.vector VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 1, 1, '[-0.007420924,-0.10171778,-0.009388765,0.055597115,0.04082777,-0.0905012,0.13935938,-0.022215644,0.09920184,-0.15567628,-0.029234163,0.034954835,0.07003656,-0.031637717,-0.11256458,0.018286759,-0.11697653,0.05052627,0.004524335,0.080176435,-0.024551222,0.009795475,-0.056731824,-0.034295037,0.016206762,0.026584093,0.11297061,-0.035405274,-0.009121175,-0.019953476,-0.084001094,-0.07040996,-0.08620163,0.03768285,0.04380774,-0.072634965,-0.009135676,-0.08065497,0.019643515,-0.012536177,0.07926287,0.06679919,-0.055662367,-0.051964596,-0.06585662,-0.00601432,0.051489685,-0.0027044502,0.12767741,-0.04040724,0.0018828737,0.048655633,-0.011419595,-0.123810165,-0.021780612,0.030321743,0.011180327,0.052323498,-0.025806472,-0.017669557,-0.20449595,-0.1704456,-0.04434791,0.23278436,-0.01122383,-0.016063564,0.01191535,0.0024552129,-0.14098668,0.049535666,-0.019808466,0.027461408,-0.07440501,0.029069213,0.021447994,-0.05689496,0.00010966437,0.13332286,0.06231111,0.02647896,0.015726414,0.07858947,0.046686206,0.08089061,0.0574025,-0.054261204,0.005388961,0.0165421,0.06822755,-0.03283768,0.045526117,-0.019837467,-0.09716444,0.023253378,0.1328935,-0.022063382,-0.014914353,-0.09135676,-0.006281117,-0.051544063,0.016890125,0.050162837,0.018804267,0.041851908,-0.046555694,0.0018126342,-0.0003770279,-0.05088064,0.074963294,-0.0060641672,0.04381499,0.042343132,0.03347935,-0.031989366,-0.0070040184,-0.024016496,-0.023990212,-0.084621154,0.12600344,0.070380956,0.076819435,-0.11504517,-0.13704601,-0.03177185,-0.040349234,0.053427078,0.026509775,-0.087220326,0.034889583,0.026221566,-0.021336516,-0.007308541,0.07338993,-0.026482584,0.09205281,-0.04977403,0.049948946,0.060313586,0.017525453,0.044134017,-0.028773755,-0.0021062808,0.0202725,0.10577083,-0.020359507,0.06706157,0.0016386212,0.008116975,-0.08398297,0.06832181,0.04411589,0.07896197,0.09091991,0.07018519,-0.071956135,-0.016373863,0.018952902,-0.018532144,-0.0035237607,-0.14225553,0.036754783,-0.00011600858,-0.017275762,0.004205311,-0.010673611,0.034403797,0.07813722,0.010854053,0.005394399,-0.049073443,-0.1354663,0.041114166,0.0096142115,-0.084080845,-0.0062644635,0.06203559,-0.09584484,0.033136312,0.060125526,0.06840156,0.035345007,-0.15098517,0.0020519018,0.030728001,0.0007649316,-0.047730282,-0.05799002,-0.011551011,0.017735718,0.09780611,-0.0039492766,-0.023063956,-0.107815474,-0.02460107,0.028353224,-0.03519705,0.042439204,0.033809252,0.050913267,0.086546935,0.05730575,-0.01325398,-0.018877225,-0.06579862,0.00078305794,-0.05239238,-0.01323948,0.0038920653,-0.038661674,-0.1256663,-0.034012266,0.05114075,-0.03284493,0.049983386,-0.09968763,-0.057395246,-0.0859959,-0.032373644,0.03214888,-0.070541486,0.012507175,0.08817196,0.10572732,0.01895109,-0.035034593,-0.013620133,0.01567566,-0.037499774,-0.0035278392,-0.0661539,0.080287,0.09939579,0.03259116,0.01829673,-0.0038971633,-0.012978461,-0.04581161,-0.043016754,-0.06946739,-0.08532432,-0.044358782,-0.06689436,-0.016152382,-0.014113169,0.033613488,-0.030191233,0.03025105,-0.0425824,0.07552714,0.08211142,0.022282002,0.04768089,-0.092081815,-0.091940425,-0.0095054535,0.031559773]', NULL),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 1, 2, '[-0.08544651,-0.036897816,0.051971793,-0.067201704,-0.054325704,0.076892465,-0.076282635,-0.0067467634,-0.010501228,0.0260219,0.09334204,-0.058321394,-0.03352189,-0.07276667,-0.085493185,-0.09140131,-0.041790377,0.0458808,-0.046331342,0.033808928,0.00340473,-0.22149013,-0.058649156,0.015416137,-0.0046904427,0.12783033,-0.015617262,0.12499173,0.001998342,-0.026683627,0.0062492886,-0.006110239,0.026425391,0.07345099,0.05986832,-0.09692456,0.029494416,-0.04696501,0.057199065,0.06967182,-0.04460539,0.067200705,-0.0005105109,0.1241799,0.0032905105,-0.058208168,0.03208372,0.0060724965,-0.008457198,0.050490912,-0.015580513,-0.0053868704,-0.0031901961,-0.043622356,0.028944178,-0.029189501,0.007729174,-0.06119575,-0.061747976,0.00079655583,0.06963209,0.020581335,-0.09664447,0.0065887184,-0.0658122,-0.007794726,0.1828056,0.082929954,0.104091324,-0.0601787,0.12466397,0.05069303,-0.02409493,0.07223977,0.026142327,0.007922229,-0.010753504,-0.0035750659,-0.05314279,0.03121044,-0.046439502,0.0019330384,-0.08773039,-0.05205423,0.024364477,-0.07517421,-0.07831673,0.07408888,-0.059811212,0.0077417754,-0.0012256233,0.0788378,-0.026802814,0.007614458,-0.052854262,-0.054527327,0.06580723,-0.09903712,0.016688937,-0.0044903103,0.030267136,-0.09090967,-0.0639092,-0.004961093,0.046088006,0.016273774,0.019884534,-0.06651241,0.007894048,-0.10736421,0.019201266,0.14286159,0.12643388,0.015509995,0.10881479,0.05408932,-0.031996317,-0.1022879,-0.02022651,-0.01927228,-0.05239614,-0.068363756,0.006539306,0.005113551,-0.035121955,-0.08934735,-0.0023717897,-0.046164483,-0.037960555,0.03248237,0.02552753,-0.008382707,0.07227801,-0.08881598,0.020863406,0.030539276,0.07855511,0.0030094318,-0.101479426,0.07030052,-0.023645392,-0.051650986,0.06805586,0.02023371,-0.019322935,0.045143463,-0.042749323,-0.055891007,-0.009764017,-0.027480183,-0.08164797,-0.011813261,0.09053522,0.051140472,0.0922078,0.0023042513,0.08914572,-0.054623667,0.009675869,-0.02191323,0.002236713,0.13847135,-0.06314642,0.020511312,-0.030165331,-0.0019327902,-0.017579725,0.023354381,0.011145326,-0.12207963,-0.074631855,-0.07851935,-0.054868992,-0.012189192,0.049291115,-0.06845514,0.061611906,-0.005239192,0.03870695,0.0046045296,-0.0014123472,0.000506538,-0.054031715,0.12103428,-0.099468045,0.050459627,0.01237095,0.050603148,-0.061632764,-0.03345286,0.09582805,-0.010575719,0.040308505,-0.05941256,-0.048282508,-0.01999683,0.15305394,0.009287523,-0.06592443,0.00037642726,0.039172273,-0.015364986,0.09002273,0.056818005,0.009756071,0.010619421,-0.020640926,0.026917033,0.029997975,0.020630995,-0.08091597,-0.15458547,-0.1287267,-0.07327519,0.005244158,0.10349664,0.06676171,0.029706964,-0.055274222,-0.05495242,0.037801143,-0.07668067,-0.05343827,-0.020208383,0.11120297,0.11648214,0.04364967,-0.052476343,0.045153394,0.09206676,-0.08715086,0.07356819,0.015762271,-0.08633295,0.011029617,0.008881734,0.0066534327,0.06943643,0.0033289976,0.04330602,-0.09205186,0.08602008,0.020795869,0.061210647,-0.12616123,0.0838827,-0.10470786,-0.0626806,0.02943259,0.00044297244,0.047545046,-0.04052304,-0.019166753,0.044800553,-0.018804478,-0.11572605]', NULL),
	('engine', 2, 4, '[1,0]', NULL),
	('engine', 2, 5, '[1,0.1]', NULL),
	('engine', 2, 6, '[1,0.2]', NULL);
INSERT INTO public.graph_entity VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '01a22b4c-5e13-70bb-b179-2b8a0f17a32f', 'ecd04118b49f3e28a45dec13d83fd12bd90cdee30053e9cb957738364b21abb4', 'person', 1796022754835134, 1796022754835134, '\x007b226e616d65223a224d61726961222c226465736372697074696f6e223a6e756c6c2c226d65746164617461223a6e756c6c7d');
INSERT INTO public.graph_link VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '01a22b4c-5e66-72c7-bac3-ecac653820b4', '01a22b4c-5e13-70bb-b179-2b8a0f17a32f', '01a22b4c-5adf-7391-ab74-cf4993d1d8f8', 'about', 1796022754918312);
INSERT INTO public.graph_revision VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 3);
INSERT INTO public.graph_schema VALUES
	(1),
	(2);
INSERT INTO public.server_account VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 'owner@localhost', NULL, 'Owner', 'en', 'admin', 'team', true, 1796022752638514, 2),
	('279b4f37-a3bf-48ad-8d3d-b2d96570ed1e', 'maria@example.com', 'scrypt$16384$8$5$n/P8BpCWnZ6ASt2fNeg4Tw==$HA2XdXuRh6Tl5KQ9YJP07FylX+l2cOV3qakKulrxZO8=', NULL, 'en', 'user', 'free', true, 1796022755394742, 0);
INSERT INTO public.server_activity VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '01a22b4c-5ce3-73e9-a8b6-dbebfd150f42', '221477d3-2a02-4141-a97d-47af1c6ec9cc', 'write', 'memory', 'success', NULL, 1796022754531834),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '01a22b4c-5d1e-7c10-b06d-5ca433efa996', '221477d3-2a02-4141-a97d-47af1c6ec9cc', 'write', 'memory', 'success', NULL, 1796022754590500),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '01a22b4c-5d56-7ac2-b6e9-115a0bb7690a', '221477d3-2a02-4141-a97d-47af1c6ec9cc', 'write', 'memory', 'success', NULL, 1796022754646705),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '01a22b4c-5f82-75ee-a185-d834a328e9f6', '221477d3-2a02-4141-a97d-47af1c6ec9cc', 'write', 'memory', 'success', NULL, 1796022755202203),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '01a22b4c-6034-7d6f-a30c-274e72b8b0b1', '221477d3-2a02-4141-a97d-47af1c6ec9cc', 'delete', 'memory', 'success', NULL, 1796022755380740);
INSERT INTO public.server_api_key VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '221477d3-2a02-4141-a97d-47af1c6ec9cc', 'ob_dc05feb8d2aac7bf', '5ffcb5636a7cf692377a5f9f3c98f1053dffa688536a2ee083552408ec5826cf', 'First key', NULL, 'brain.read,brain.write,memory.extract.write,entity.read,entity.write,connect.read,connect.write', 'trusted', true, NULL, 1796022757259522, NULL, NULL, 1796022752648931);
INSERT INTO public.server_audit VALUES
	('279b4f37-a3bf-48ad-8d3d-b2d96570ed1e', '01a22b4c-6736-712f-bef6-8eb449a7dd11', 'account:279b4f37-a3bf-48ad-8d3d-b2d96570ed1e', 'account.register', NULL, '127.0.0.1', '5c5864b5-c2df-42ce-940d-1d032fe1d410', 1796022757175033);
INSERT INTO public.server_record VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 'project', '01a22b4c-5d66-778c-b4ce-f3a77b49b56d', NULL, 'active', NULL, 1796022754662412, 1796022754662412, '\x007b226e616d65223a2247656d696e69222c226465736372697074696f6e223a6e756c6c2c226d65746164617461223a6e756c6c7d'),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 'tag', '01a22b4c-5dc5-73e5-82b5-f1b822acc8eb', 'ceb8077515fbbdead09f7a8c76461361666c2f2e0c426dc898aecacb8f929744', NULL, NULL, 1796022754757935, 1796022754757935, '\x007b226e616d65223a2274726176656c222c22636f6c6f72223a6e756c6c7d');
INSERT INTO public.server_revision VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 2, 1796022755071282, '01a22b4c-5cfe-75d3-9923-791854398618', 1796022754559119, '\x007b226964223a2230316132326234632d356366652d373564332d393932332d373931383534333938363138222c22636f6e74656e74223a2254686520626f696c65722077617320726570616972656420696e204d6179222c2273636f7065223a7b227370616365223a6e756c6c2c2275736572223a6e756c6c2c226167656e74223a6e756c6c2c2273657373696f6e223a6e756c6c7d2c227469746c65223a2254686520626f696c6572222c2274797065223a2266616374222c2274616773223a5b5d2c226d65746164617461223a7b7d2c22696d706f7274616e6365223a6e756c6c2c22736f75726365223a6e756c6c2c2270696e6e6564223a66616c73652c226172636869766564223a66616c73652c22637265617465645f6174223a22323032362d31312d33305430373a31323a33342e3535393131395a222c22757064617465645f6174223a22323032362d31312d33305430373a31323a33342e3535393131395a222c22657870697265735f6174223a6e756c6c2c226578747261223a7b22736f7572636554797065223a22757365725f696e707574222c22636f6e666964656e6365223a312c22737461747573223a22616374697665227d7d'),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', 3, 1796022755242091, '01a22b4c-5d32-7f40-add2-d9545d2db0f4', 1796022754611200, '\x007b226964223a2230316132326234632d356433322d376634302d616464322d643935343564326462306634222c22636f6e74656e74223a225065746572206472696e6b7320677265656e20746561222c2273636f7065223a7b227370616365223a6e756c6c2c2275736572223a6e756c6c2c226167656e74223a6e756c6c2c2273657373696f6e223a6e756c6c7d2c227469746c65223a225065746572206472696e222c2274797065223a2266616374222c2274616773223a5b5d2c226d65746164617461223a7b7d2c22696d706f7274616e6365223a6e756c6c2c22736f75726365223a6e756c6c2c2270696e6e6564223a66616c73652c226172636869766564223a66616c73652c22637265617465645f6174223a22323032362d31312d33305430373a31323a33342e3631313230305a222c22757064617465645f6174223a22323032362d31312d33305430373a31323a33342e3631313230305a222c22657870697265735f6174223a6e756c6c2c226578747261223a7b22736f7572636554797065223a22757365725f696e707574222c22636f6e666964656e6365223a312c22737461747573223a22616374697665227d7d');
INSERT INTO public.server_schema VALUES
	(1),
	(2),
	(3),
	(4);
INSERT INTO public.server_setting VALUES
	('history', '1796022752581625');
INSERT INTO public.server_tombstone VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '01a22b4c-5d32-7f40-add2-d9545d2db0f4', 1796022755258263);
INSERT INTO public.server_usage VALUES
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '2026-11-30', 'POST /v1/memory', 3, 0, 0),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '2026-11-30', 'POST /v1/projects', 1, 0, 0),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '2026-11-30', 'POST /v1/tags', 1, 0, 0),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '2026-11-30', 'POST /v1/entities', 1, 0, 0),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '2026-11-30', 'POST /v1/entities/:id/links', 1, 0, 0),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '2026-11-30', 'PATCH /v1/memory/:id', 1, 0, 0),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '2026-11-30', 'DELETE /v1/memory/:id', 1, 0, 0),
	('be9b8f6b-92e2-4817-b419-112a2fbde34f', '2026-11-30', 'GET /v1/memory', 1, 0, 0);
SELECT pg_catalog.setval('onebrain.memory_row', 6, true);
SELECT pg_catalog.setval('onebrain.space_key_seq', 2, true);
SELECT pg_catalog.setval('public.server_schema_version_seq', 1, false);
ALTER TABLE ONLY onebrain.gone
    ADD CONSTRAINT gone_pkey PRIMARY KEY (tenant, space, seq, "row");
ALTER TABLE ONLY onebrain.memory
    ADD CONSTRAINT memory_pkey PRIMARY KEY (tenant, "row");
ALTER TABLE ONLY onebrain.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);
ALTER TABLE ONLY onebrain.note
    ADD CONSTRAINT note_pkey PRIMARY KEY (tenant, "row");
ALTER TABLE ONLY onebrain.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (name);
ALTER TABLE ONLY onebrain.space
    ADD CONSTRAINT space_pkey PRIMARY KEY (tenant, key);
ALTER TABLE ONLY onebrain.space
    ADD CONSTRAINT space_tenant_label_key UNIQUE (tenant, label);
ALTER TABLE ONLY onebrain.vector
    ADD CONSTRAINT vector_pkey PRIMARY KEY (tenant, "row");
ALTER TABLE ONLY onebrain.word
    ADD CONSTRAINT word_pkey PRIMARY KEY (tenant, "row", part);
ALTER TABLE ONLY public.graph_entity
    ADD CONSTRAINT graph_entity_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.graph_entity
    ADD CONSTRAINT graph_entity_tenant_name_key_key UNIQUE (tenant, name_key);
ALTER TABLE ONLY public.graph_link
    ADD CONSTRAINT graph_link_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.graph_link
    ADD CONSTRAINT graph_link_tenant_entity_id_memory_id_link_type_key UNIQUE (tenant, entity_id, memory_id, link_type);
ALTER TABLE ONLY public.graph_relation
    ADD CONSTRAINT graph_relation_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.graph_relation
    ADD CONSTRAINT graph_relation_tenant_source_id_target_id_relation_key UNIQUE (tenant, source_id, target_id, relation);
ALTER TABLE ONLY public.graph_revision
    ADD CONSTRAINT graph_revision_pkey PRIMARY KEY (tenant);
ALTER TABLE ONLY public.graph_schema
    ADD CONSTRAINT graph_schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.server_account
    ADD CONSTRAINT server_account_email_key UNIQUE (email);
ALTER TABLE ONLY public.server_account
    ADD CONSTRAINT server_account_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.server_activity
    ADD CONSTRAINT server_activity_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.server_api_key
    ADD CONSTRAINT server_api_key_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.server_api_key
    ADD CONSTRAINT server_api_key_prefix_key UNIQUE (prefix);
ALTER TABLE ONLY public.server_audit
    ADD CONSTRAINT server_audit_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.server_delivery
    ADD CONSTRAINT server_delivery_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.server_idempotency
    ADD CONSTRAINT server_idempotency_pkey PRIMARY KEY (tenant, key_digest);
ALTER TABLE ONLY public.server_link
    ADD CONSTRAINT server_link_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.server_link
    ADD CONSTRAINT server_link_unique UNIQUE (tenant, kind, owner_id, memory_id, link_type);
ALTER TABLE ONLY public.server_rate
    ADD CONSTRAINT server_rate_pkey PRIMARY KEY (bucket, window_start);
ALTER TABLE ONLY public.server_record
    ADD CONSTRAINT server_record_pkey PRIMARY KEY (tenant, kind, id);
ALTER TABLE ONLY public.server_record
    ADD CONSTRAINT server_record_unique UNIQUE (tenant, kind, unique_key);
ALTER TABLE ONLY public.server_revision
    ADD CONSTRAINT server_revision_pkey PRIMARY KEY (tenant, memory_row, changed_at);
ALTER TABLE ONLY public.server_schema
    ADD CONSTRAINT server_schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.server_session
    ADD CONSTRAINT server_session_pkey PRIMARY KEY (tenant, id);
ALTER TABLE ONLY public.server_session
    ADD CONSTRAINT server_session_token_hash_key UNIQUE (token_hash);
ALTER TABLE ONLY public.server_setting
    ADD CONSTRAINT server_setting_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.server_tombstone
    ADD CONSTRAINT server_tombstone_pkey PRIMARY KEY (tenant, memory_id);
ALTER TABLE ONLY public.server_usage
    ADD CONSTRAINT server_usage_pkey PRIMARY KEY (tenant, day, route);
CREATE INDEX memory_change ON onebrain.memory USING btree (tenant, space, seq);
CREATE INDEX memory_expiry ON onebrain.memory USING btree (tenant, expires_at) WHERE (expires_at IS NOT NULL);
CREATE UNIQUE INDEX memory_identity ON onebrain.memory USING btree (tenant, identity, space, owner);
CREATE INDEX graph_entity_newest ON public.graph_entity USING btree (tenant, updated_at, id);
CREATE INDEX graph_link_memory ON public.graph_link USING btree (tenant, memory_id);
CREATE INDEX graph_relation_target ON public.graph_relation USING btree (tenant, target_id);
CREATE INDEX server_activity_key ON public.server_activity USING btree (tenant, key_id, id);
CREATE INDEX server_delivery_due ON public.server_delivery USING btree (due_at);
CREATE INDEX server_idempotency_time ON public.server_idempotency USING btree (created_at);
CREATE INDEX server_link_memory ON public.server_link USING btree (tenant, memory_id);
CREATE INDEX server_record_newest ON public.server_record USING btree (tenant, kind, created_at, id);
CREATE INDEX server_revision_memory ON public.server_revision USING btree (tenant, memory_id);
CREATE INDEX server_revision_tenant_time ON public.server_revision USING btree (tenant, changed_at);
CREATE INDEX server_revision_time ON public.server_revision USING btree (changed_at);
CREATE INDEX server_tombstone_time ON public.server_tombstone USING btree (tenant, deleted_at);
ALTER TABLE onebrain.gone ENABLE ROW LEVEL SECURITY;
ALTER TABLE onebrain.memory ENABLE ROW LEVEL SECURITY;
ALTER TABLE onebrain.note ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON onebrain.gone USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON onebrain.memory USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON onebrain.note USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON onebrain.space USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON onebrain.vector USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON onebrain.word USING (((tenant = current_setting('onebrain.tenant'::text, true)) AND (words @@ (current_setting('onebrain.words'::text, true))::tsquery))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
ALTER TABLE onebrain.space ENABLE ROW LEVEL SECURITY;
ALTER TABLE onebrain.vector ENABLE ROW LEVEL SECURITY;
ALTER TABLE onebrain.word ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.graph_entity ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.graph_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.graph_relation ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.graph_revision ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON public.graph_entity USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON public.graph_link USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON public.graph_relation USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON public.graph_revision USING ((tenant = current_setting('onebrain.tenant'::text, true))) WITH CHECK ((tenant = current_setting('onebrain.tenant'::text, true)));
CREATE POLICY own_tenant ON public.server_activity USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_api_key USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_audit USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_delivery USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_idempotency USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_link USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_record USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_revision USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_session USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_tombstone USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
CREATE POLICY own_tenant ON public.server_usage USING ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text))) WITH CHECK ((((tenant)::text = current_setting('onebrain.tenant'::text, true)) OR (current_setting('onebrain.tenant'::text, true) = '*'::text)));
ALTER TABLE public.server_activity ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_delivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_record ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_revision ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_tombstone ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.server_usage ENABLE ROW LEVEL SECURITY;
