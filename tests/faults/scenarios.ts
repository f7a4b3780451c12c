/**
 * The fault scenarios that xtask is held to, and the tests that assert what is expected of each. A test that is renamed is
 * renamed here as well: scenarios_test.ts looks for every one of them.
 */

/** A test, by its file and the name that stands in it. */
export type Proof = readonly [file: string, test: string];

/** A fault and what happens then. */
export interface Scenario {
  readonly fault: string;
  readonly expected: string;
  readonly tests: readonly Proof[];
  /** What of it does not apply here, or is shown elsewhere, and why. */
  readonly but?: string;
}

const FAULTS = "tests/faults";
const GOT = "lib/capability/got";
/** Hub, agents, links, disks and power as they fail by a seed. */
const WORLDS: Proof = [
  "tests/simulation/simulation_test.ts",
  "every invariant holds in 300 worlds, and in those that found something once",
];

/** All of them, in the order of their numbers, from 1. */
export const SCENARIOS: readonly Scenario[] = [
  {
    fault: "kill -9 of the agent during a run",
    expected: "children end or are found again; the run is interrupted, never run twice",
    tests: [
      [
        `${FAULTS}/lease_test.ts`,
        "a node is killed during a run that may move: another one has it, and the outcome is told once",
      ],
      [
        `${FAULTS}/agent_killed_test.ts`,
        "what a killed agent was running ends at once, is told as interrupted when it is back, and runs nothing twice",
      ],
      [`${FAULTS}/crash_points_client_test.ts`, "an agent that dies at any point of a command's life, as a client"],
      [`${FAULTS}/crash_points_leaf_test.ts`, "an agent that dies at any point of a command's life, as a leaf node"],
    ],
    but: "only a command that may move is tried again by itself",
  },
  {
    fault: "kill -9 of the hub with 500 commands in flight",
    expected: "nodes run on and keep what they report; all results arrive, each once",
    tests: [
      [
        `${FAULTS}/in_flight_test.ts`,
        "a hub and its server are killed with 500 commands in flight: all run once meanwhile, and every result arrives once",
      ],
      [
        `${FAULTS}/hub_killed_test.ts`,
        "a hub is killed during a run on another machine: started again, it has the run, its output and its end",
      ],
    ],
  },
  {
    fault: "power loss at the hub: what was not synced is gone",
    expected: "what was acknowledged is there; what an older store lacks is sent again as far as nodes have it",
    tests: [
      WORLDS,
      ["lib/agent/forwarder_test.ts", "a hub whose store is an older one gets again what the node still has"],
      [
        `${FAULTS}/hub_backup_test.ts`,
        "a hub is lost with its disk and made again of a backup: its nodes go on, and what is missing is told",
      ],
    ],
  },
  {
    fault: "a node is cut off, for less and for more than its presence",
    expected: "less: nothing happens; more: it is told as late, runs on, and its one result is applied when it is back",
    tests: [
      [`${FAULTS}/lease_test.ts`, "the link of a node is cut during a run that may move"],
      [`${FAULTS}/partition_test.ts`, "a node is cut off from its hub during a run"],
      [`${FAULTS}/partition_test.ts`, "for less than its presence: nothing is told, and nothing happens to the run"],
      [
        `${FAULTS}/partition_test.ts`,
        "for longer: it is told as late, runs on, and its one result is applied when it is back",
      ],
      [`${FAULTS}/leaf_link_test.ts`, "the link of a leaf node is cut"],
      [
        `${FAULTS}/leaf_link_test.ts`,
        "the link of a leaf node flaps while it works: every report arrives once, and in order",
      ],
    ],
  },
  {
    fault: "a partition in one direction",
    expected: "found by pings and dialled again; a lease ends on the node before it is given to another",
    tests: [
      [`${FAULTS}/leaf_link_test.ts`, "the link of a leaf node is stalled: it is found by pings, and dialled again"],
      [`${FAULTS}/lease_test.ts`, "for longer: it has ended by itself before another node starts it"],
      WORLDS,
    ],
  },
  {
    fault: "SIGSTOP of the agent, then SIGCONT",
    expected:
      "it is told as lost; when it goes on it is back, with one result; a run whose lease lapses is ended by the guard",
    tests: [
      [
        `${FAULTS}/agent_stalled_test.ts`,
        "an agent that is stopped by the system is told as lost; when it goes on it is back, with one result",
      ],
      [
        `${FAULTS}/lease_test.ts`,
        "an agent is stopped by the system for longer than its lease: its run has ended before another node starts it",
      ],
      [
        `${FAULTS}/lease_test.ts`,
        "an agent is stopped for longer than its lease, and nothing guards it: when it goes on it ends its run before it tells anything",
      ],
    ],
  },
  {
    fault: "one command delivered ten times",
    expected: "it runs once, and all get the one answer",
    tests: [
      ["tests/cluster/answers_test.ts", "asked ten times at once, it runs once and all get the one answer"],
      ["tests/cluster/answers_test.ts", "asked again after the end, it answers the same and does not run"],
      ["lib/agent/runs_test.ts", "a command id runs once, however often and when it is asked"],
    ],
  },
  {
    fault: "messages out of order: a cancel before the start, a result before it",
    expected: "the cancel wins and nothing is started; states only move forward",
    tests: [
      WORLDS,
      ["lib/capability/host_test.ts", "a run that was cancelled before it began starts nothing"],
      ["lib/agent/runs_test.ts", "a run that is cancelled while it waits never starts, and gives no slot away"],
      ["tests/http/model_test.ts", "a list that was made before an event came does not take it back"],
    ],
  },
  {
    fault: "a clock that is ten minutes ahead or behind",
    expected: "the node works, and is told with the amount",
    tests: [
      [`${FAULTS}/clock_test.ts`, "works, and is told with the amount"],
      [
        "lib/hub/alerts/decide_test.ts",
        "a clock that is off is told after three heartbeats, with the amount, and over when it is right again",
      ],
    ],
    but: "requests are not signed, so none is refused for its time",
  },
  {
    fault: "the disk of an agent is full",
    expected:
      "new work is refused and told, what runs goes on, output gives way with a count, and it recovers by itself",
    tests: [
      [
        `${FAULTS}/full_disk_test.ts`,
        "a node whose disk is full refuses new work and says so, goes on with what runs, and recovers",
      ],
      [
        `${FAULTS}/full_store_test.ts`,
        "the disk of a leaf node's store is full: it is told, reports wait in the journal, and with room again all arrives once",
      ],
      [
        "lib/agent/runs_test.ts",
        "a disk that refuses: new work is refused however often it is asked, nothing starts, and results wait for it to be mended",
      ],
      ["lib/agent/outbox_test.ts", "a disk that refuses costs output, is told once, and never a fact that was taken"],
    ],
  },
  {
    fault: "the disk of the hub's store is full",
    expected: "nothing is acknowledged, it is told, and with room again all arrives once",
    tests: [[
      `${FAULTS}/full_store_test.ts`,
      "the disk of a hub's store is full: nothing is acknowledged, it is told, and with room again all arrives once",
    ]],
  },
  {
    fault: "a journal that its disk altered, cut or tore",
    expected: "found at the start; what can be read goes on, the rest is told",
    tests: [
      [
        `${FAULTS}/damaged_journal_test.ts`,
        "an agent whose journal was damaged by its disk comes up, tells what may be lost, and knows the rest",
      ],
      [
        "lib/agent/journal_repair_test.ts",
        "one bit that changed is found by the sums: that record is left out, the others go on, and it is told",
      ],
      [
        "lib/agent/journal_repair_test.ts",
        "of a journal that was cut or torn, what can be read goes on; of what is no journal nothing does",
      ],
    ],
    but: "there is no cache of objects on nodes yet",
  },
  {
    fault: "a reader that does not read while much is written",
    expected: "the run and the hub go on, memory is bounded, and the reader misses nothing when it reads again",
    tests: [
      [
        `${FAULTS}/slow_reader_test.ts`,
        "readers that do not read while much is written hold up neither the run nor the hub, and miss nothing of it later",
      ],
      ["lib/http/live/tab_test.ts", "what a tab does not take is not added to; when it takes again it gets the newest"],
    ],
  },
  {
    fault: "a gigabyte of output",
    expected: "it passes through bounded memory, every byte accounted for",
    tests: [[
      "tests/cluster/large_output_test.ts",
      "MB of output pass through an agent of bounded memory, every byte accounted for",
    ]],
    but: "the gate does with 200 MB; a gigabyte with XTASK_TEST_OUTPUT_BYTES=1000000000",
  },
  {
    fault: "a payload of 10 MB",
    expected: "refused before it is sent, and the connection kept",
    tests: [[
      "tests/cluster/bad_input_test.ts",
      "an input above the limit, by the node; a payload above the server's, before it is sent",
    ]],
  },
  {
    fault: "what is malformed: JSON, types, depth, __proto__",
    expected: "refused by schema, nothing falls, the connection is kept, and the others are heard",
    tests: [
      [
        `${FAULTS}/fuzz_test.ts`,
        "whatever is sent, nobody falls: node and hub refuse it or answer, keep the connection, and go on",
      ],
      [
        `${FAULTS}/fuzz_test.ts`,
        "whatever a node reports, the hub passes over what it cannot read, says so, and hears the others",
      ],
      ["tests/cluster/bad_input_test.ts", "what cannot be meant is refused, and the node goes on"],
    ],
  },
  {
    fault: "a command that fails each time",
    expected: "tried once each time it is asked, told so, and the others are not held up",
    tests: [
      [
        `${FAULTS}/poison_test.ts`,
        "a command that fails each time is tried once each time it is asked, told so, and holds up no other",
      ],
      ["lib/capability/host_test.ts", "a Worker that dies fails its runs and nothing else"],
      [
        "lib/capability/host_test.ts",
        "a handler that does not stop when told to costs its Worker, and the next run gets a new one",
      ],
    ],
    but: "nothing is delivered again by itself, so there are no dead letters: each failure is a result",
  },
  {
    fault: "daemons, nohup and zombies",
    expected: "after the end of a run no process of it is left, and no zombie after a thousand",
    tests: [
      [
        `${FAULTS}/no_process_left_test.ts`,
        "runs that leave daemons behind there is no process of them, no zombie and no open file more",
      ],
      [
        "lib/os/processes_test.ts",
        "grandchildren that left the group by setsid, forked twice, are ended by the run's mark",
      ],
    ],
    but: "the gate does with 96 runs; a thousand with XTASK_TEST_RUNS=1000",
  },
  {
    fault: "SIGTERM during a long run, and a second one",
    expected: "nothing new is taken, the run ends or is handed back, the journal is flushed, exit code 0",
    tests: [
      [`${FAULTS}/stopping_test.ts`, "takes nothing new, lets what runs end, hands over the result and ends well"],
      [
        `${FAULTS}/stopping_test.ts`,
        "twice, hands back at once what runs, as interrupted, and leaves no process of it",
      ],
    ],
  },
  {
    fault: "the machine restarts during a run",
    expected: "interrupted within five seconds of the agent's return; what waited for the hub arrives",
    tests: [[
      `${FAULTS}/reboot_test.ts`,
      "a machine restarts during a run, its hub away: the run is told as interrupted at once, and what waited arrives later",
    ]],
  },
  {
    fault: "an update that is interrupted at each of its steps",
    expected: "the old one or the new one starts, never neither",
    tests: [],
    but: "xtask does not update itself; what an installer leaves when it is interrupted is in tests/install",
  },
  {
    fault: "a download's path that leads out, is absolute, has NUL or names a device",
    expected: "refused; nothing is written but below the folder",
    tests: [
      [
        `${GOT}/place_test.ts`,
        "an output is refused if it is absolute, climbs, is empty in parts, or means something else on Windows",
      ],
      [`${GOT}/place_test.ts`, "whatever the name, an output that is accepted stays under the folder"],
      [`${GOT}/deliver_test.ts`, "whatever the output, nothing appears but at that path under the folder"],
    ],
  },
  {
    fault: "archives that climb, link out or explode",
    expected: "refused by name, kind, ratio, size and count; a folder appears whole or not at all",
    tests: [
      [`${GOT}/extract_test.ts`, "an archive is refused for a name that leads out or cannot be told from another"],
      [`${GOT}/extract_test.ts`, "links, devices, pipes and sparse files are refused, wherever they point"],
      [`${GOT}/extract_test.ts`, "bombs are stopped early by their ratio, total size or number of entries"],
      [`${GOT}/deliver_test.ts`, "an archive that is refused halfway leaves nothing"],
    ],
  },
  {
    fault: "a folder that is swapped for a link between check and write",
    expected: "noticed, and refused",
    tests: [
      [`${GOT}/place_test.ts`, "a folder that is swapped for a link after it was checked is noticed"],
      [`${GOT}/extract_test.ts`, "a link and then a file through it write nothing outside"],
    ],
    but:
      "Deno opens by path alone, so a moment stays open to whoever may write in the node's folder, with the agent's rights",
  },
  {
    fault: "downloads from metadata and private addresses, however they are spelt",
    expected: "refused at each hop by the address that is connected to",
    tests: [
      [
        `${GOT}/follow_test.ts`,
        "a redirect to a metadata address is refused in every spelling, and so is the address itself",
      ],
      [
        `${GOT}/follow_test.ts`,
        "a name is refused if any of its addresses is, and the address checked is the one connected to",
      ],
      [`${GOT}/address_test.ts`, "every link-local address stays refused however a URL spells it"],
      [`${GOT}/follow_test.ts`, "a chain never leaves https, nor enters a private network from the internet"],
    ],
  },
  {
    fault: "arguments that a shell, ssh or git would read",
    expected: "they are only words",
    tests: [
      ["tests/cluster/bad_input_test.ts", "words that a shell would read are only words"],
      ["lib/capability/exec_test.ts", "exec() hands the argument vector over as it is: no shell reads it"],
      [
        "lib/capability/git/address_test.ts",
        "readAddress refuses every other way, and what ssh or git could read as a flag",
      ],
      ["lib/capability/git_test.ts", "git runs no helper that a remote names, and no folder outside is fetched from"],
      [
        "lib/capability/docker/argv_test.ts",
        "runArgv keeps whatever the program and its environment are given from being read as the client's flags",
      ],
    ],
  },
  {
    fault: "output that drives terminals or forges events",
    expected: "stored as it is, shown without what drives a terminal; it begins no event",
    tests: [
      ["tests/cluster/output_test.ts", "colours, carriage returns, NUL and bytes that are no text pass as they are"],
      ["lib/cli/terminal_test.ts", "known tricks come to nothing"],
      [
        "lib/client/log/pieces_test.ts",
        "whatever a line holds, no control character is left and nothing is longer than it may be",
      ],
      ["lib/http/live/patches_test.ts", "output that holds carriage returns begins no event of its own"],
    ],
    but: "there are no secrets yet that would be kept out of output",
  },
  {
    fault: "kill-port of the agent, its ancestors, a protected process, or a port that changed hands",
    expected: "refused; who is signalled was looked at again by its start",
    tests: [
      [
        "lib/capability/kill_port_test.ts",
        "kill-port.kill refuses protected processes and itself, and ends nobody then",
      ],
      ["lib/capability/kill_port_test.ts", "sameProcesses takes who was there at first, by pid and start"],
      ["tests/cluster/kill_port_test.ts", "the agent itself and what is above it are not"],
      ["lib/capability/kill_port_test.ts", "kill-port.kill ends every process that shares the port"],
    ],
    but: "of several owners all are ended, and told, as asked",
  },
];
