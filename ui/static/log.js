// The viewer of a run's output: a window of lines that moves through all of them. Lines come as pieces of text with class
// names of a fixed set, and are put in as text.
document.addEventListener("DOMContentLoaded", () => {
  const section = document.querySelector("#log");
  if (section === null) return;
  const part = (name) => section.querySelector(`[data-log-${name}]`);
  const button = (name) => section.querySelector(`[data-log="${name}"]`);
  const [scroller, list, nodes, input] = [part("lines"), part("list"), part("node"), part("search")];
  const { command } = section.dataset;

  const PAGE = 500;
  const WINDOW = 2_000;
  const NEAR = 600;
  const AGAIN_MS = 2_000;

  const state = {
    node: "",
    // How far it goes, whether more comes, and of which attempt: told by its stream alone, which is in order. Of answers to
    // requests one may be older than what was told before it came.
    total: 0,
    ended: false,
    attempt: 0,
    first: 0,
    next: 0,
    // Lines that went by unseen, before the first that is here.
    skipped: 0,
    follow: true,
    matches: [],
    match: -1,
    case: false,
  };
  let source = null;
  let loading = Promise.resolve();
  // What is asked of one output, until another one is shown.
  let asking = new AbortController();

  const { project } = document.documentElement.dataset;
  const address = (tail, query = {}) => {
    const all = { node: state.node, ...query, ...(project === "" ? {} : { project }) };
    return `/commands/${command}/log${tail}?${new URLSearchParams(all)}`;
  };
  const problem = (text) => {
    part("problem").hidden = text === "";
    part("problem").textContent = text;
  };
  const get = async (tail, query) => {
    const { signal } = asking;
    const response = await fetch(address(tail, query), { headers: { accept: "application/json" }, signal });
    const answer = await response.json();
    signal.throwIfAborted();
    if (!response.ok) throw new Error(answer.error?.message ?? `The server answered ${response.status}`);
    return answer;
  };
  // One change of the window at a time, in the order they were wished for. Tells whether it came about.
  const queued = (act) => {
    const { signal } = asking;
    const told = (text) => {
      if (!signal.aborted) problem(text);
      return text === "";
    };
    loading = loading.then(() => signal.aborted ? undefined : act()).then(
      () => told(""),
      ({ message }) => told(message),
    );
    return loading;
  };

  const numberOf = (text) => {
    const [, from, to] = /^#L(\d+)(?:-L?(\d+))?$/.exec(text) ?? [];
    return from === undefined ? null : { from: Number(from) - 1, to: Number(to ?? from) - 1 };
  };

  const element = (line) => {
    const item = document.createElement("li");
    item.id = `L${line.n + 1}`;
    item.dataset.n = String(line.n);
    if (line.s === "err") item.className = "err";
    const anchor = document.createElement("a");
    anchor.href = `#L${line.n + 1}`;
    anchor.textContent = String(line.n + 1);
    anchor.className = "line-number";
    const time = document.createElement("time");
    time.dateTime = new Date(line.t).toISOString();
    time.textContent = time.dateTime.slice(11, 23);
    const code = document.createElement("code");
    if (line.gap !== undefined) {
      item.className = "gap";
      code.textContent = `${line.gap} bytes of output are missing here`;
    }
    for (const [name, text] of line.p) {
      const span = document.createElement("span");
      if (name !== "") span.className = name;
      span.textContent = text;
      code.append(span);
    }
    if (line.cut !== undefined) {
      const note = document.createElement("em");
      note.textContent = ` … ${line.cut} more characters`;
      code.append(note);
    }
    item.append(anchor, time, code);
    return item;
  };

  const mark = () => {
    const meant = numberOf(location.hash);
    const hit = state.matches[state.match];
    for (const item of list.children) {
      const n = Number(item.dataset.n);
      item.classList.toggle("meant", meant !== null && n >= meant.from && n <= meant.to);
      item.classList.toggle("hit", n === hit);
    }
  };
  const status = () => {
    const known = Math.max(state.total, state.next);
    const empty = known > 0 ? `reading ${counted(known)}` : state.ended ? "it wrote nothing" : "no output yet";
    const shown = state.next > state.first ? `lines ${state.first + 1}–${state.next} of ${known}` : empty;
    part("status").textContent = `${shown}${state.ended ? ", ended" : ""}`;
    part("before").hidden = state.first === 0;
    part("before").textContent = state.skipped > 0
      ? `${counted(state.skipped)} skipped; scroll up to read them`
      : `${counted(state.first)} before`;
    const missed = state.total - state.next;
    const resume = button("resume");
    resume.hidden = state.follow || missed <= 0;
    resume.textContent = `${counted(missed).replace(" ", state.ended ? " more " : " new ")} ↓`;
    button("follow").setAttribute("aria-pressed", String(state.follow));
  };
  const counted = (count) => `${count.toLocaleString("en")} ${count === 1 ? "line" : "lines"}`;
  /** Where it was scrolled to last, by a person or by us: the event of our own is then no movement of theirs. */
  let last = 0;
  const toBottom = () => {
    scroller.scrollTop = scroller.scrollHeight;
    last = scroller.scrollTop;
  };

  const replace = async (from) => {
    const answer = await get("", { from: Math.max(0, from), count: PAGE });
    list.replaceChildren(...answer.lines.map(element));
    [state.first, state.skipped] = [answer.lines[0]?.n ?? 0, 0];
    state.next = (answer.lines.at(-1)?.n ?? -1) + 1;
    mark();
  };
  const after = async (isWanted = () => true) => {
    // The last line may have grown since.
    const from = Math.max(state.first, state.next - 1);
    const answer = await get("", { from, count: PAGE });
    if (isWanted()) append(answer.lines);
  };
  const append = (lines) => {
    for (const line of lines) {
      const known = list.querySelector(`[data-n="${line.n}"]`);
      if (known === null) list.append(element(line));
      else known.replaceWith(element(line));
    }
    state.next = Math.max(state.next, (lines.at(-1)?.n ?? -1) + 1);
    while (list.children.length > WINDOW) list.firstChild.remove();
    state.first = Number(list.firstChild?.dataset.n ?? 0);
    mark();
  };
  const before = async () => {
    if (state.first === 0) return;
    const from = Math.max(0, state.first - PAGE);
    const answer = await get("", { from, count: state.first - from });
    const height = scroller.scrollHeight;
    list.prepend(...answer.lines.map(element));
    scroller.scrollTop += scroller.scrollHeight - height;
    [state.first, state.skipped] = [from, 0];
    while (list.children.length > WINDOW) list.lastChild.remove();
    state.next = Number(list.lastChild?.dataset.n ?? -1) + 1;
    mark();
  };
  const show = (number) =>
    queued(async () => {
      if (number < state.first || number >= state.next) await replace(number - PAGE / 2);
      mark();
      list.querySelector(`[data-n="${number}"]`)?.scrollIntoView({ block: "center" });
      status();
    });
  const newest = () =>
    queued(async () => {
      const missed = state.total - state.next;
      // Whoever comes late gets the newest lines at once, and the others when they are looked for.
      if (missed > PAGE) {
        const [had, before] = [state.next, state.skipped];
        await replace(state.total - PAGE);
        // Whoever is slow is shown the newest, and told what that leaves out.
        if (had > 0) state.skipped = before + Math.max(0, state.first - had);
      } else {
        // Who stopped following meanwhile stays where they are.
        await after(() => state.follow || state.next === 0);
      }
      if (state.follow) toBottom();
      status();
    });

  let catchingUp = false;
  // Whether something was told that is not shown; what is read at the time may be older.
  let stale = false;
  /** Shows what is not shown yet, and where it cannot be had now, after a while again. */
  const catchUp = async () => {
    if (catchingUp) return;
    catchingUp = true;
    const { signal } = asking;
    const lags = () => !signal.aborted && (stale || state.next < state.total) && (state.follow || state.next === 0);
    while (lags()) {
      stale = false;
      const had = state.next;
      const meant = state.follow ? null : numberOf(location.hash);
      const done = await (meant !== null && meant.from < state.total ? show(meant.from) : newest());
      if (!signal.aborted && !done) stale = true;
      if (lags() && (!done || state.next === had && !stale)) await new Promise((again) => setTimeout(again, AGAIN_MS));
    }
    if (!signal.aborted) catchingUp = false;
  };
  const follow = (on) => {
    state.follow = on;
    if (on) {
      stale = true;
      catchUp();
    }
    status();
  };

  const clear = () => {
    asking.abort();
    asking = new AbortController();
    [catchingUp, stale] = [false, false];
    Object.assign(state, { first: 0, next: 0, skipped: 0, matches: [], match: -1 });
    state.follow = numberOf(location.hash) === null;
    list.replaceChildren();
    part("found").textContent = "";
    problem("");
  };
  const nodesIn = (name) =>
    (document.querySelector("#command")?.dataset[name] ?? "").split(",").filter((id) => id !== "");
  // A run that came to the same node again is another attempt: there is more after the end.
  const isOver = () => state.ended && !nodesIn("running").includes(state.node);
  const heard = ({ data }) => {
    const { attempt, total, ended, lines = [] } = JSON.parse(data);
    // What an earlier attempt wrote is no beginning of what this one writes.
    if (attempt > state.attempt && state.attempt > 0) clear();
    Object.assign(state, { attempt: Math.max(attempt, state.attempt), total, ended });
    if (state.follow && !catchingUp && lines.length > 0 && lines[0].n <= state.next) {
      append(lines);
      toBottom();
    } else {
      stale = total > 0;
      catchUp();
    }
    status();
    if (isOver()) source.close();
  };
  const open = (node) => {
    source?.close();
    clear();
    Object.assign(state, { node, total: 0, ended: false, attempt: 0 });
    part("raw").href = address("/raw");
    part("status").textContent = "waiting for output";
    listen();
  };
  // A browser asks again for a stream that broke off, and never for one that was refused, as after a logout. It has six
  // connections for all tabs of a page that comes over HTTP/1, so that one that nobody sees has none of them.
  const listen = () => {
    const listens = source !== null && source.readyState !== EventSource.CLOSED;
    if (listens || state.node === "" || isOver() || document.hidden) return;
    source = new EventSource(address("/events"));
    source.addEventListener("message", heard);
  };
  document.addEventListener("xtask-live", listen);
  document.addEventListener("visibilitychange", () => document.hidden ? source?.close() : listen());

  const showNodes = () => {
    if (isOver()) source?.close();
    else listen();
    const known = nodesIn("nodes");
    const had = [...nodes.options].map(({ value }) => value);
    if (known.length === 0 || known.join() === had.join()) return;
    nodes.replaceChildren(...known.map((name) => new Option(name, name, false, name === state.node)));
    if (!known.includes(state.node)) open(known[0]);
  };
  new MutationObserver(showNodes).observe(document.querySelector("main"), {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["data-nodes", "data-running"],
  });
  showNodes();
  nodes.addEventListener("change", () => open(nodes.value));

  scroller.addEventListener("scroll", () => {
    const { scrollTop, scrollHeight, clientHeight } = scroller;
    const [up, down, bottom] = [scrollTop < last, scrollTop > last, scrollHeight - scrollTop - clientHeight];
    last = scrollTop;
    if (up && bottom > 40 && state.follow) follow(false);
    else if (down && bottom < 4 && !state.follow && state.next >= state.total) follow(true);
    if (scrollTop < NEAR && up && state.first > 0) queued(before).then(status);
    else if (bottom < NEAR && !up && state.next < state.total && !state.follow) queued(after).then(status);
  }, { passive: true });

  const search = async () => {
    const text = input.value;
    [state.matches, state.match] = [[], -1];
    part("found").textContent = "";
    if (text !== "") {
      try {
        const { numbers, more } = await get("/search", { text, case: state.case ? "1" : "0" });
        if (input.value !== text) return;
        state.matches = numbers;
        part("found").textContent = numbers.length === 0
          ? "not found"
          : `${numbers.length}${more ? " or more" : ""} lines`;
        if (numbers.length > 0) step(1);
      } catch (error) {
        if (error.name !== "AbortError") problem(error.message);
      }
    }
    mark();
  };
  const step = (by) => {
    const { length } = state.matches;
    if (length === 0) return;
    state.match = state.match < 0 ? (by > 0 ? 0 : length - 1) : (state.match + by + length) % length;
    part("found").textContent = `${state.match + 1} of ${length}`;
    state.follow = false;
    show(state.matches[state.match]);
  };
  let typing;
  input.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, 250);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  });

  const toggles = { times: "with-times", wrap: "wrap" };
  const press = {
    previous: () => step(-1),
    next: () => step(1),
    case() {
      state.case = !state.case;
      button("case").setAttribute("aria-pressed", String(state.case));
      search();
    },
    async error() {
      try {
        const { number } = await get("/first-error");
        if (number === null) part("found").textContent = "no error found";
        else {
          state.follow = false;
          history.replaceState(null, "", `#L${number + 1}`);
          await show(number);
        }
      } catch (error) {
        problem(error.message);
      }
    },
    times: () => toggle("times"),
    wrap: () => toggle("wrap"),
    follow: () => follow(!state.follow),
    resume: () => follow(true),
  };
  const toggle = (name) => {
    const on = section.classList.toggle(toggles[name]);
    button(name).setAttribute("aria-pressed", String(on));
  };
  section.classList.add("wrap");
  section.addEventListener("click", (event) => {
    const name = event.target.closest("[data-log]")?.dataset.log;
    if (name !== undefined) return press[name]();
    const anchor = event.target.closest(".line-number");
    if (anchor === null) return;
    event.preventDefault();
    const number = Number(anchor.parentElement.dataset.n);
    const meant = event.shiftKey ? numberOf(location.hash) : null;
    const [from, to] = meant === null ? [number, number] : [Math.min(meant.from, number), Math.max(meant.from, number)];
    history.replaceState(null, "", from === to ? `#L${from + 1}` : `#L${from + 1}-L${to + 1}`);
    mark();
  });
  addEventListener("hashchange", () => {
    const meant = numberOf(location.hash);
    if (meant === null) return;
    state.follow = false;
    show(meant.from);
  });

  const keys = { f: "follow", n: "next", N: "previous", w: "wrap", t: "times", e: "error" };
  document.addEventListener("keydown", (event) => {
    const away = event.target.closest("input:not([type=checkbox]), textarea, select") !== null;
    if (away || document.querySelector("dialog[open]") !== null || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (document.querySelector("#single-keys")?.checked === false) return;
    if (event.key === "G") follow(true);
    else if (keys[event.key] !== undefined) press[keys[event.key]]();
    else return;
    event.preventDefault();
  });
});
