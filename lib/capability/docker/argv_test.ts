import assert from "node:assert/strict";
import fc from "fast-check";
import { buildArgv, logsArgv, readVolume, runArgv, stopArgv } from "./argv.ts";

const RUN = {
  image: "alpine:3",
  args: [],
  name: "n",
  command: "01J",
  detach: false,
  remove: true,
  env: {},
  ports: [],
  mounts: [],
} as const;

Deno.test("runArgv puts flags in front of -- and the program's own behind the image", () => {
  assert.deepEqual(runArgv(RUN), ["run", "--name=n", "--label=xtask-command=01J", "--rm", "--", "alpine:3"]);
  const all = runArgv({
    ...RUN,
    args: ["sh", "-c", "echo $HOME"],
    detach: true,
    remove: false,
    env: { A: "1 2", B: "" },
    ports: ["80:80"],
    mounts: [{ source: "/n/a b", target: "/x", readOnly: true }, { source: "/n/c", target: "/y", readOnly: false }],
  });
  assert.deepEqual(all, [
    "run",
    "--name=n",
    "--label=xtask-command=01J",
    "--detach",
    "--env=A=1 2",
    "--env=B=",
    "--publish=80:80",
    "--mount=type=bind,source=/n/a b,target=/x,readonly",
    "--mount=type=bind,source=/n/c,target=/y",
    "--",
    "alpine:3",
    "sh",
    "-c",
    "echo $HOME",
  ]);
});

Deno.test("runArgv keeps whatever the program and its environment are given from being read as the client's flags", () => {
  const text = fc.string({ maxLength: 20 });
  fc.assert(
    fc.property(fc.array(text), fc.dictionary(fc.stringMatching(/^[A-Z]{1,5}$/), text), (args, env) => {
      const argv = runArgv({ ...RUN, args, env });
      const end = argv.indexOf("--");
      assert.deepEqual(argv.slice(end), ["--", "alpine:3", ...args]);
      for (const flag of argv.slice(1, end)) assert.match(flag, /^--(name|label|rm|env)/);
      assert.equal(argv.slice(1, end).filter((flag) => flag.startsWith("--env=")).length, Object.keys(env).length);
    }),
  );
});

Deno.test("buildArgv, stopArgv and logsArgv name only what was asked for", () => {
  assert.deepEqual(buildArgv({ dir: "/n", buildArgs: {} }), ["build", "--", "/n"]);
  assert.deepEqual(
    buildArgv({ dir: "/n", tag: "a:1", file: "/n/D", target: "t", buildArgs: { V: "-1" } }),
    ["build", "--tag=a:1", "--file=/n/D", "--target=t", "--build-arg=V=-1", "--", "/n"],
  );
  assert.deepEqual(stopArgv({ container: "c" }), ["stop", "--", "c"]);
  assert.deepEqual(stopArgv({ container: "c", timeoutS: 0 }), ["stop", "-t", "0", "--", "c"]);
  assert.deepEqual(logsArgv({ container: "c", tail: 5 }), ["logs", "--tail=5", "--", "c"]);
});

Deno.test("readVolume takes a volume apart", () => {
  assert.deepEqual(readVolume("a/b:/x:ro"), { folder: "a/b", target: "/x", readOnly: true });
  assert.deepEqual(readVolume("a:/x:rw"), { folder: "a", target: "/x", readOnly: false });
  assert.deepEqual(readVolume("a:/x"), { folder: "a", target: "/x", readOnly: false });
});
