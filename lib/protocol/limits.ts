/** Every bound of the system, with its unit in its name and the reason beside it. */

/** A caller is answered within this unless it says otherwise; under the 5 s after which the `nats` command gives up. */
export const WAIT_MS_DEFAULT = 4_000;
/** Nobody may hold a request open for longer; a client that wants to wait subscribes to the result. */
export const WAIT_MS_MAX = 60_000;
/** A command's input as JSON. Far below the server's 1 MiB payload limit, so that headers and replies fit as well. */
export const INPUT_BYTES_MAX = 256 * 1024;
/** A list in one answer, as JSON: half of what a message may have. What is more is asked for with the id of the last one. */
export const LIST_BYTES_MAX = 512 * 1024;
/** A result's `data` as JSON. */
export const DATA_BYTES_MAX = 256 * 1024;
/** Of a run's output this much of its beginning and as much of its end travel in the result. */
export const OUTPUT_EDGE_BYTES = 8 * 1024;
/** Heartbeats go out this often… */
export const HEARTBEAT_MS = 5_000;
/** …and a node that has sent none for this long is late: three missed ones. */
export const PRESENCE_MS = 15_000;
/** A node measures itself this often: 8,640 samples of some 700 bytes a day. */
export const METRICS_MS = 10_000;
/** Points of a series that are read at once: each is a message of the stream. */
export const SERIES_POINTS_MAX = 500;
/** Nodes whose series are read at once. */
export const SERIES_NODES_MAX = 50;
/** Between points at least: so that each step has a sample of a node that measures every 10 s, give or take. */
export const SERIES_STEP_MS_MIN = 15_000;
/** Runs at once on a node, unless it says otherwise: one for each core, at least two. */
export const SLOTS_DEFAULT_MIN = 2;
/** Commands that may wait for a slot on one node; one more is refused as `exhausted`. */
export const QUEUE_MAX = 256;
/** Verbs that only read need no slot; this many run at once, one more is refused as `exhausted`. */
export const READS_MAX = 256;
/** Log bytes in one message. */
export const LOG_BATCH_BYTES = 64 * 1024;
/** Output waits this long for company before it is sent: what a follower notices at most, twice over. */
export const LOG_BATCH_MS = 25;
/** Output of one run that is sent but not yet stored by the hub: then the run waits. */
export const LOG_UNACKED_BYTES = 4 * 1024 * 1024;
/** Output of all runs that a node keeps on disk while the hub is away; what is more is left out with a marker. */
export const LOG_SPOOL_BYTES = 256 * 1024 * 1024;
/** Output of a run that outlives its agent, as it lies on the node's disk; what is more is counted and thrown away. */
export const KEPT_OUTPUT_BYTES = 256 * 1024 * 1024;
/** Reports that a leaf node's own store holds for the hub; what does not fit waits in the journal. */
export const OUT_BYTES = 1024 ** 3;
/** Forwarded reports stay in a leaf node's own store for this long, so that repeats are found and its own readers get them. */
export const OUT_KEPT_MS = 30_000;
/** Reports that a leaf node hands over at once; a server takes 1,000 in a batch. */
export const BATCH_MAX = 400;
/** The same, in bytes. */
export const BATCH_BYTES = 2 * 1024 * 1024;
/** A node looks at its link this often… */
export const LINK_CHECK_MS = 5_000;
/** …and raises an alert when it has been down for this long. */
export const LINK_ALERT_MS = 60_000;
/** Ended runs whose answer a node remembers, so that a repeated command id gets it again. */
export const REMEMBERED_RUNS = 2_000;
/** Between SIGTERM and SIGKILL. */
export const KILL_GRACE_MS = 5_000;
/** A draining agent lets its runs finish for this long before it ends them. */
export const DRAIN_MS = 30_000;
/** Tasks advertised in a node's record; more are left to `task.list`. */
export const TASKS_ADVERTISED_MAX = 200;
/** Schedules that a node holds: they are part of its record… */
export const SCHEDULES_MAX = 50;
/** …with the input of each. */
export const SCHEDULE_INPUT_BYTES_MAX = 2 * 1024;
/** Labels of a node. */
export const LABELS_MAX = 32;
/** What somebody tells the others at once, as UTF-8. */
export const NOTE_BYTES_MAX = 4 * 1024;
/** Notes of one person to one channel that are kept. */
export const NOTES_KEPT_MAX = 1_000;
/** Somebody who has not said so for this long is not here. */
export const HERE_MS = 60_000;
/** Somebody who is here says so this often. */
export const HERE_BEAT_MS = 20_000;
/** Comings and goings of nodes, and alerts, that wait for the hub's server; the oldest is given up for one more. */
export const TOLD_WAITING_MAX = 10_000;
/** Alerts that the hub knows at once; the ones that were over first go. */
export const ALERTS_MAX = 1_000;
/** An alert may be muted for this long. */
export const ALERT_MUTE_MS_MAX = 30 * 24 * 60 * 60_000;
/** An invitation may be used within this long. */
export const INVITE_MS = 15 * 60_000;
/** A command waits for a node that is away for this long, unless its deadline is sooner… */
export const QUEUE_MS_DEFAULT = 7 * 24 * 60 * 60_000;
/** …or later: never for longer than this. */
export const QUEUE_MS_MAX = 90 * 24 * 60 * 60_000;
/** Nodes that one command may wait for. */
export const WAITING_NODES_MAX = 1_000;
/** Commands that wait for one node… */
export const WAITING_PER_NODE_MAX = 1_000;
/** …and for all nodes together. */
export const WAITING_MAX = 20_000;
/** A run that may move goes on for this long without a word of the hub; what follows from it: see lease.ts. */
export const LEASE_MS = 15_000;
/** Runs of one node that are under a lease. */
export const LEASES_MAX = 1_000;
/** Commands that may move and have not ended, in a project. */
export const MOVING_MAX = 2_000;
/** A command that was lost with this many nodes is not started again: it may be what takes them down. */
export const MOVES_MAX = 10;
/** A node that was given such a command begins its lease within this, or another node gets it. */
export const OFFER_MS = 5_000;
/** A login link to the page may be used within this long, once. */
export const LOGIN_LINK_MS = 10 * 60_000;
/** Login links that wait to be used; the oldest goes for one more. */
export const LOGIN_LINKS_MAX = 32;
/** A session of the page lasts this long. */
export const SESSION_MS = 7 * 24 * 60 * 60_000;
/** Sessions of the page; the oldest ends for one more. */
export const SESSIONS_MAX = 256;
/** Body of an HTTP request: a command's input, and what is said around it. */
export const HTTP_BODY_BYTES_MAX = 2 * INPUT_BYTES_MAX;
/** Event streams of one session, or of all programs that share the token. A page has one, so that this is many tabs. */
export const STREAMS_PER_CALLER_MAX = 64;
/** Event streams of everybody. */
export const STREAMS_MAX = 512;
/** Commands that the page lists. */
export const COMMANDS_SHOWN_MAX = 500;
/** What one tab of the page may have on its way to it; it then skips states that a newer one replaces. */
export const TAB_BYTES_MAX = 1024 * 1024;
/** Lines of output that viewers are sent as they come; of more at once they read what they show. */
export const LINES_PUSHED_MAX = 200;
/** Lines of each agent's own log that the page shows. */
export const AGENT_LOG_LINES_MAX = 100;
/** Notes of people that the page lists. */
export const NOTES_SHOWN_MAX = 200;
/** Changes are shown together this often. */
export const FRAME_MS = 50;
/** A tab hears something at least this often, so that it notices a dead link. */
export const TAB_BEAT_MS = 15_000;
/** Outputs of runs that are read for viewers at once. */
export const LOGS_OPEN_MAX = 64;
/** Lines of a run's output that are told at once. */
export const LOG_LINES_MAX = 2_000;
