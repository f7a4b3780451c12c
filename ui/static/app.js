// What the page does in the browser beside Datastar: theme, keys, times, the state of the link, the console.
// Everything that is written is written as text.
(() => {
  const root = document.documentElement;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Kept in the browser; where that is forbidden, the page's own choices do.
  const kept = {
    get(name) {
      try {
        return localStorage.getItem(`xtask.${name}`);
      } catch {
        return null;
      }
    },
    set(name, value) {
      try {
        if (value === null) localStorage.removeItem(`xtask.${name}`);
        else localStorage.setItem(`xtask.${name}`, value);
      } catch {
        // It holds until the page is left.
      }
    },
  };

  const THEMES = { system: ["◐", "as the system"], light: ["☀", "light"], dark: ["☾", "dark"] };
  const showTheme = () => {
    const theme = kept.get("theme") ?? "system";
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    const button = one("[data-theme-button]");
    if (button === null) return;
    const [sign, words] = THEMES[theme] ?? THEMES.system;
    button.textContent = sign;
    button.setAttribute("aria-label", `Theme: ${words}`);
  };
  showTheme();

  // The link: Datastar tells of its requests by events; silence is told by a clock.
  const SILENT_MS = 45_000;
  const LINKS = { connecting: "connecting", live: "live", lost: "reconnecting", over: "logged out" };
  let heardAt = Date.now();
  const showLink = (link) => {
    if (root.dataset.link === link) return;
    root.dataset.link = link;
    const text = one("[data-link-text]");
    if (text !== null) text.textContent = LINKS[link];
    for (const banner of ["lost", "over"]) {
      const element = one(`#${banner}`);
      if (element !== null) element.hidden = link !== banner;
    }
    if (link === "live") document.dispatchEvent(new CustomEvent("xtask-live"));
  };
  const reopen = () => {
    heardAt = Date.now();
    one("#live")?.dispatchEvent(new CustomEvent("xtask-reopen"));
  };
  // A stream that ends for good was ended by the page itself, or the session is over; the server knows which.
  const checkSession = async () => {
    const status = await fetch("/api/v1/session", { headers: { accept: "application/json" } })
      .then((answer) => answer.status, () => 0);
    if (status === 401) showLink("over");
    else if (status === 200 && root.dataset.link === "over") {
      showLink("connecting");
      reopen();
    }
  };
  let begun = false;
  document.addEventListener("datastar-fetch", ({ detail }) => {
    if (detail.el !== one("#live")) return;
    begun = true;
    if (detail.type.startsWith("datastar-")) {
      heardAt = Date.now();
      showLink("live");
    } else if (["retrying", "error", "retries-failed"].includes(detail.type)) showLink("lost");
    else if (detail.type === "finished") checkSession();
  });
  setInterval(() => {
    if (document.hidden || root.dataset.link === "over" || Date.now() - heardAt < SILENT_MS) return;
    showLink("lost");
    reopen();
  }, 5_000);
  // A tab that was opened unseen has no stream yet; Datastar's ends while a tab is hidden, but would begin there.
  document.addEventListener("visibilitychange", () => begun || document.hidden || reopen());
  // Whoever has logged in again in another tab comes back to this one.
  const lookAgain = () => void (root.dataset.link === "over" && !document.hidden && checkSession());
  addEventListener("focus", lookAgain);
  document.addEventListener("visibilitychange", lookAgain);

  const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const timeWords = (at, kind) => {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(at)) * (kind === "until" ? -1 : 1) / 1_000));
    if (seconds < 2) return kind === "ago" ? "just now" : "a moment";
    const [unit, size] = UNITS.find(([, size]) => seconds >= size);
    return `${Math.floor(seconds / size)} ${unit}${kind === "ago" ? " ago" : ""}`;
  };
  const showTimes = () => {
    for (const time of all("time[data-ago]")) {
      const text = timeWords(time.dateTime, time.dataset.ago);
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const showTitle = () => {
    const { running = 0, alerts = 0 } = one("#chrome")?.dataset ?? {};
    const counts = [[alerts, "!"], [running, "▸"]].filter(([count]) => Number(count) > 0);
    const plain = `${one("#title")?.textContent ?? ""} · xtask`;
    const title = counts.length > 0 ? `(${counts.map(([count, sign]) => sign + count).join(" ")}) ${plain}` : plain;
    if (document.title !== title) document.title = title;
  };

  // The project of this page stands in every address that is asked from it, unless it is the one that is meant anyway.
  const { project } = root.dataset;
  const inProject = (address, name = project) => {
    const url = new URL(address, location.origin);
    if (url.origin !== location.origin || name === "") return address;
    if (!url.searchParams.has("project")) url.searchParams.set("project", name);
    return url.pathname + url.search + url.hash;
  };
  const keepProject = ({ target }) => {
    const link = target.closest?.("a[href^='/']");
    if (link) link.setAttribute("href", inProject(link.getAttribute("href")));
  };
  if (project !== "") {
    for (const type of ["pointerdown", "focusin", "click"]) document.addEventListener(type, keepProject, true);
  }

  /** @returns {Promise<unknown>} what the API answers; rejects with what it says is wrong */
  const post = async (path, body = {}) => {
    const response = await fetch(inProject(path), {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
    });
    const answer = response.status === 204 ? {} : await response.json();
    if (response.ok) return answer;
    const { message = `The server answered ${response.status}`, details = [] } = answer.error ?? {};
    throw new Error([message, ...details].join("; "));
  };

  // Which nodes something would run on: in words, then each by its name.
  const showMeant = (place, { text, nodes, others, more }) => {
    const element = (name, words, className) => {
      const made = document.createElement(name);
      made.textContent = words;
      if (className !== undefined) made.className = className;
      return made;
    };
    const list = element("ul", "");
    list.append(
      ...nodes.map((node) => element("li", node)),
      ...others.map(({ node, why }) => element("li", `${node} ${why}`, "left-out")),
      ...(more > 0 ? [element("li", `and ${more} more`, "left-out")] : []),
    );
    place.replaceChildren(element("p", text), ...(list.children.length > 0 ? [list] : []));
  };

  // What did not come of a command on every node is told on its page, where whoever asked is led.
  const noteMissing = ({ id, offline = [], queued = [], refused = [] }) => {
    const missing = [
      ...offline.filter((node) => !queued.includes(node)).map((node) => `${node} is away, and was not asked`),
      ...refused.map(({ node, error }) => `${node} did not take it: ${error.message}`),
    ];
    try {
      if (missing.length > 0) sessionStorage.setItem(`xtask.missing.${id}`, missing.join("\n"));
    } catch {
      // It is told by the command's page alone that these nodes are not in it.
    }
  };
  const showMissing = () => {
    const id = one("#log")?.dataset.command;
    let text = null;
    try {
      text = id === undefined ? null : sessionStorage.getItem(`xtask.missing.${id}`);
    } catch {
      return;
    }
    if (text !== null) tell(text, "status");
  };
  const tell = (text, role) => {
    one("#told")?.remove();
    const note = document.createElement("p");
    note.id = "told";
    note.className = "problem";
    note.role = role;
    note.textContent = text;
    one("#title").after(note);
  };

  const console_ = (() => {
    let words = [];
    let chosen = -1;
    let asked = 0;
    const dialog = () => one("#console");
    const input = () => one("#console-words");
    const list = () => one("#console-list");
    const problem = (text) => {
      const element = one("#console-problem");
      element.hidden = text === "";
      element.textContent = text;
    };
    const choose = (at) => {
      const items = all("li", list());
      chosen = items.length === 0 ? -1 : (at + items.length) % items.length;
      items.forEach((item, place) => item.setAttribute("aria-selected", String(place === chosen)));
      const item = items[chosen];
      if (item === undefined) return input().removeAttribute("aria-activedescendant");
      input().setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    };
    const take = (place) => {
      const completion = words[place]?.completion;
      if (completion === undefined) return;
      const field = input();
      field.value = `${field.value.replace(/\S*$/, "")}${completion} `;
      field.focus();
      // What was chosen is taken; pressing Enter again runs the line.
      chosen = -1;
      suggest();
    };
    const suggest = async () => {
      const turn = ++asked;
      const query = new URLSearchParams({ words: input().value });
      const response = await fetch(inProject(`/console?${query}`), { headers: { accept: "application/json" } }).catch(
        () => null,
      );
      if (turn !== asked || !response?.ok) return;
      const answer = await response.json();
      words = answer.suggestions;
      showMeant(one("#console-meant"), answer.meant);
      list().replaceChildren(...words.map(({ completion, brief }, place) => {
        const item = document.createElement("li");
        item.id = `suggestion-${place}`;
        item.role = "option";
        const name = document.createElement("code");
        name.textContent = completion;
        const what = document.createElement("span");
        what.textContent = brief;
        item.append(name, what);
        item.addEventListener("click", () => take(place));
        return item;
      }));
      chosen = -1;
      input().removeAttribute("aria-activedescendant");
      for (const item of all("li", list())) item.setAttribute("aria-selected", "false");
      list().scrollTop = 0;
    };
    return {
      open(text) {
        problem("");
        if (text !== undefined) input().value = text;
        if (!dialog().open) dialog().showModal();
        const field = input();
        field.focus();
        // Where words are missing in the middle, that is where to type; what was typed before is there to be replaced.
        const gap = field.value.indexOf("  ");
        const at = gap < 0 ? field.value.length : gap + 1;
        field.setSelectionRange(text === undefined ? 0 : at, at);
        suggest();
      },
      wire() {
        input().addEventListener("input", suggest);
        input().addEventListener("keydown", (event) => {
          if (event.key === "ArrowDown") choose(chosen + 1);
          else if (event.key === "ArrowUp") choose(chosen - 1);
          else if (event.key === "Tab" && !event.shiftKey && words.length > 0) take(Math.max(0, chosen));
          else if (event.key === "Enter" && chosen >= 0) take(chosen);
          else return;
          event.preventDefault();
        });
        one("#console-form").addEventListener("submit", async (event) => {
          event.preventDefault();
          problem("");
          const button = one("#console-form button[type=submit]");
          button.disabled = true;
          try {
            const asked = await post("/api/v1/tasks", { command: input().value.trim() });
            noteMissing(asked);
            location.href = inProject(`/commands/${asked.id}`);
          } catch (error) {
            problem(error.message);
          } finally {
            button.disabled = false;
          }
        });
      },
    };
  })();

  const singleKeys = () => kept.get("single-keys") !== "off";
  let before = "";
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      return console_.open();
    }
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select") !== null;
    if (typing || one("dialog[open]") !== null || event.ctrlKey || event.metaKey || event.altKey || !singleKeys()) {
      return;
    }
    const [last, key] = [before, event.key];
    before = key === "g" ? "g" : "";
    if (last === "g") {
      const link = one(`[data-go="${CSS.escape(key)}"]`);
      if (link !== null) link.click();
    } else if (key === "?") one("#keys").showModal();
    else if (key === "/") (one("[data-search]") ?? document.body).focus();
    else if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
    else return;
    event.preventDefault();
  });

  // Where nothing had the focus before, a dialog that closes keeps it, and keys with it.
  document.addEventListener("close", ({ target }) => {
    if (target.contains(document.activeElement)) document.activeElement.blur();
  }, true);

  const step = (by) => {
    const items = all("[data-key-item]");
    const at = items.indexOf(document.activeElement);
    items[at < 0 ? (by > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + by))]?.focus();
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button");
    if (!button) return;
    if (button.matches("[data-open-console]")) return console_.open();
    if (button.dataset.console !== undefined) return console_.open(button.dataset.console);
    if (button.matches("[data-open-keys]")) return one("#keys").showModal();
    if (button.matches("[data-theme-button]")) {
      const names = Object.keys(THEMES);
      const next = names[(names.indexOf(kept.get("theme") ?? "system") + 1) % names.length];
      kept.set("theme", next === "system" ? null : next);
      return showTheme();
    }
    if (button.matches("[data-close-announcement]")) {
      kept.set("announcement", button.closest("[data-at]").dataset.at);
      return showAnnouncement();
    }
    if (button.dataset.copy !== undefined) return copy(button);
    if (button.dataset.post !== undefined) {
      button.disabled = true;
      try {
        const answer = await post(button.dataset.post, JSON.parse(button.dataset.body ?? "{}"));
        const then = button.dataset.then;
        if (answer.id !== undefined && then !== undefined) noteMissing(answer);
        if (then !== undefined) location.href = inProject(then.replace("{id}", encodeURIComponent(answer.id)));
      } catch (error) {
        button.closest("dialog")?.close();
        tell(error.message, "alert");
      } finally {
        button.disabled = false;
      }
    }
  });

  // An announcement that was closed stays closed.
  const showAnnouncement = () => {
    const told = one("#announcement");
    const at = told?.dataset.at;
    if (told !== null) told.hidden = at === undefined || at <= (kept.get("announcement") ?? "");
  };

  const copy = async (button) => {
    const words = button.textContent;
    await navigator.clipboard?.writeText(button.dataset.copy).catch(() => {});
    button.textContent = "Copied";
    setTimeout(() => button.textContent = words, 1_500);
  };

  // Forms: those whose fields are the body of a request, and those that ask a verb.
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-send], form[data-ask]");
    if (form === null) return;
    event.preventDefault();
    const [button, problem] = [one("button[type=submit]", form), one(".problem", form)];
    button.disabled = true;
    problem.hidden = true;
    try {
      if (form.dataset.send === undefined) await askByForm(form);
      else {
        await post(form.dataset.send, Object.fromEntries(new FormData(form)));
        form.reset();
      }
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  });

  // Forms that are made of a verb's definition: what is empty is left out, so that the definition's defaults hold.
  const valueOf = ({ dataset: { kind }, value, checked }) => {
    const lines = value.split("\n").filter((line) => line.trim() !== "");
    switch (kind) {
      case "boolean":
        return checked || undefined;
      case "number":
        return value === "" ? undefined : Number(value);
      case "list":
        return lines.length === 0 ? undefined : lines;
      case "map":
        return lines.length === 0 ? undefined : Object.fromEntries(lines.map((line) => {
          const at = line.indexOf("=");
          if (at < 1) throw new Error(`'${line}' is not NAME=VALUE`);
          return [line.slice(0, at).trim(), line.slice(at + 1)];
        }));
      default:
        return value === "" ? undefined : value;
    }
  };
  const askByForm = async (form) => {
    const input = Object.fromEntries(all("[data-kind]", form).map((field) => [field.name, valueOf(field)]));
    const { capability, verb } = form.dataset;
    const asked = await post("/api/v1/tasks", {
      capability,
      verb,
      input,
      target: one("[data-target]", form).value,
      any: one("[data-target-any]", form).value !== "",
      queue: one("[data-target-queue]", form).checked,
    });
    noteMissing(asked);
    location.href = inProject(`/commands/${asked.id}`);
  };
  let targetAsked = 0;
  const showTarget = async () => {
    const field = one("[data-target]");
    if (field === null) return;
    const turn = ++targetAsked;
    const query = new URLSearchParams({
      capability: field.form.dataset.capability,
      select: field.value,
      any: one("[data-target-any]").value,
      queue: one("[data-target-queue]").checked ? "1" : "",
    });
    const response = await fetch(inProject(`/console/target?${query}`)).catch(() => null);
    if (!response?.ok || turn !== targetAsked) return;
    showMeant(one("[data-target-meant]"), (await response.json()).meant);
  };
  document.addEventListener("input", ({ target }) => {
    if (target.matches?.("[data-target], [data-target-any], [data-target-queue]")) showTarget();
  });

  // What is searched for stands in the address, and the stream is asked for it: nothing is loaded anew.
  let typing;
  const narrow = (form) => {
    clearTimeout(typing);
    const wanted = [...new FormData(form)].filter(([, value]) => value !== "");
    const address = new URL(form.action, location.href);
    address.search = String(new URLSearchParams(wanted));
    history.replaceState(null, "", inProject(address.pathname + address.search));
    const live = one("#live");
    const events = new URL(live.dataset.events, location.origin);
    const { view, project: shown } = Object.fromEntries(events.searchParams);
    // In place of the stream that is open: that ends with its element.
    const next = live.cloneNode();
    next.dataset.events = `/events?${new URLSearchParams([...wanted, ["view", view], ["project", shown]])}`;
    live.replaceWith(next);
  };
  const narrowing = ({ target }) => target.closest?.("form[data-narrow]") ?? null;
  document.addEventListener("input", (event) => {
    const form = narrowing(event);
    if (form === null) return;
    clearTimeout(typing);
    if (event.target.localName === "select") narrow(form);
    else typing = setTimeout(() => narrow(form), 200);
  });
  document.addEventListener("submit", (event) => {
    const form = narrowing(event);
    if (form === null) return;
    event.preventDefault();
    narrow(form);
  });
  document.addEventListener("submit", (event) => {
    const { target: form } = event;
    if (form.method !== "get" || project === "" || event.defaultPrevented) return;
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: "project", value: project });
    form.append(field);
  });

  document.addEventListener("DOMContentLoaded", () => {
    // What is looked at may not be there in the other project; its kind is.
    one("#project").addEventListener("change", ({ target }) => {
      location.href = inProject(one(".nav a[aria-current]")?.pathname ?? "/", target.value);
    });
    showTarget();
    showMissing();
    showTheme();
    showTimes();
    showTitle();
    setInterval(showTimes, 1_000);
    showAnnouncement();
    new MutationObserver(() => {
      showTimes();
      showTitle();
      showAnnouncement();
    }).observe(document.body, {
      childList: true,
      // A patch puts the words of the server back.
      characterData: true,
      subtree: true,
      attributes: true,
      attributeFilter: ["datetime", "data-running", "data-alerts", "data-at"],
    });
    console_.wire();
    const box = one("#single-keys");
    box.checked = singleKeys();
    box.addEventListener("change", () => kept.set("single-keys", box.checked ? null : "off"));
  });
})();
