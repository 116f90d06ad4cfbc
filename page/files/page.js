"use strict";
// everything is written by textContent: what a tenant calls a pod is text here, never markup
const EVERY_MS = 5000;
const OLD_MS = 30000;
const byId = (id) => document.getElementById(id);
const shown = {}; // what each section shows now, as text: one that is the same is not touched
const open = new Set(); // the teams whose details are open
let data = null;
let etag = "";

function make(tag, attributes = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") found.className = value;
    else if (value !== null && value !== undefined) found.setAttribute(name, value);
  }
  found.append(...children.flat().filter((child) => child !== null && child !== ""));
  return found;
}

const plain = (value) => String(Math.round(value * 1000) / 1000);
const bound = (value) => (value < 0 ? "no bound" : plain(value));

function age(from, to) {
  const seconds = Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

function when(at, words = "") {
  return at ? make("time", { datetime: at, title: at }, `${age(at, data.at)}${words}`) : "";
}

// what stands between backticks is a command or a name
const coded = (text) => text.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part));

const matches = (...texts) => {
  const wanted = byId("filter").value.trim().toLowerCase();
  return !wanted || texts.some((text) => text && text.toLowerCase().includes(wanted));
};

// a section is made anew only when what it shows is other than before; the focus stays where it was
function put(id, source, build) {
  const text = JSON.stringify([source, byId("filter").value]);
  if (shown[id] === text) return;
  shown[id] = text;
  const place = byId(id);
  const key = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...[build()].flat());
  if (key) [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key)?.focus();
}

// --- faults and waiting pods

const WORDS = { error: "✖ fault", warning: "▲ look", unseen: "? not seen" };

function faults() {
  const found = data.faults.filter((one) => matches(one.about, one.text));
  if (!found.length) return make("p", { class: "good" }, data.faults.length ? "none that matches" : "✔ none that is seen");
  return make("ul", { class: "list" }, found.map((one) =>
    make("li", { class: one.level }, make("span", { class: "word" }, WORDS[one.level]), make("b", {}, one.about), " ", one.text,
      one.fix ? [" → ", make("code", {}, one.fix)] : "")));
}

function waiting() {
  const found = data.waiting.filter((one) => matches(one.team, one.pod, one.cause));
  const rest = data.unlisted ? make("p", { class: "dim" }, `and ${data.unlisted} more`) : "";
  if (!found.length) return [make("p", { class: "dim" }, data.waiting.length ? "none that matches" : "none"), rest];
  return [make("ul", { class: "list" }, found.map((one) =>
    make("li", {}, key(one.team), make("b", {}, `${one.team} ${one.pod}`), " ", coded(one.cause), one.fix ? make("div", {}, "→ ", coded(one.fix)) : ""))), rest];
}

// --- teams by colour, pattern and mark

const team = (name) => data.teams.find((one) => one.name === name);

function look(name) {
  const found = team(name);
  return found ? [`c${found.colour} p${found.pattern}`, found.mark] : ["other", name ? name.slice(0, 2) : "–"];
}

function key(name) {
  const [style, mark] = look(name);
  return make("span", { class: `key ${style}`, "aria-hidden": "true" }, mark);
}

// --- GPUs

function told(node, unit) {
  const parts = unit.parts.map((one) => `${one.team || "host"} ${one.share === null ? "a part" : plain(one.share)} (${one.pod})`);
  const what = parts.length ? parts.join(", ") : unit.state;
  return `${node.name}, ${unit.resource} ${unit.number}: ${what}${unit.uuid ? `, ${unit.uuid}` : ""}`;
}

function tile(node, unit) {
  const text = told(node, unit);
  const seen = matches(node.name, ...unit.parts.map((one) => one.team));
  const result = make("button", { class: `tile ${unit.state}${seen ? "" : " dimmed"}`, type: "button", tabindex: "-1", title: text,
    "aria-label": text, "data-key": `${node.name} ${unit.resource} ${unit.number}` });
  if (unit.state === "unhealthy" || !unit.parts.length) {
    result.append(make("span", { class: "state" }, { unhealthy: "✖", free: "·", reserved: "R", used: "?" }[unit.state]));
    return result;
  }
  for (const one of unit.parts) {
    const [style, mark] = look(one.team);
    const part = make("span", { class: `part ${style}` }, mark);
    part.style.height = `${100 * (one.share === null ? 1 / unit.parts.length : Math.min(1, one.share))}%`;
    result.append(part);
  }
  return result;
}

function pools() {
  const result = data.pools.filter((pool) => pool.nodes.length).map((pool) => [
    make("h3", {}, pool.name ? `Pool ${pool.name}` : "In no pool", make("span", { class: "dim" },
      pool.total ? ` ${plain(pool.used)} of ${pool.total} GPUs used` : " no GPUs")),
    make("div", { class: "nodes" }, pool.nodes.map((node) => make("div", { class: "row" },
      make("span", { class: "name" }, node.name, make("div", { class: "dim" },
        [node.product, node.memoryMib ? `${node.memoryMib} MiB` : ""].filter(Boolean).join(", "))),
      make("span", { class: "tiles", role: "group", "aria-label": `GPUs of ${node.name}` }, node.units.map((unit) => tile(node, unit))),
      node.said.map((word) => make("span", { class: "chip warn" }, word))))),
  ]).flat();
  for (const row of result.flatMap((one) => [...one.querySelectorAll(".tiles")])) {
    row.firstElementChild?.setAttribute("tabindex", "0"); // one stop of the tab key for each row; arrows do the rest
  }
  return result.length ? result : make("p", { class: "dim" }, "no node is seen");
}

function step(event) {
  const here = event.target.closest(".tile");
  const way = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: "down", ArrowUp: "up", Home: "first", End: "last" }[event.key];
  if (!here || way === undefined) return;
  const rows = [...document.querySelectorAll(".tiles")].filter((row) => row.children.length);
  const row = rows.indexOf(here.parentElement);
  const place = [...here.parentElement.children].indexOf(here);
  const to = way === "down" || way === "up" ? rows[row + (way === "down" ? 1 : -1)] : here.parentElement;
  if (!to) return;
  const last = to.children.length - 1;
  const next = { down: Math.min(place, last), up: Math.min(place, last), first: 0, last }[way] ?? Math.min(last, Math.max(0, place + way));
  event.preventDefault();
  here.setAttribute("tabindex", "-1");
  to.children[next].setAttribute("tabindex", "0");
  to.children[next].focus();
}

// --- queues

function bar(queue) {
  const most = Math.max(queue.limit, queue.quota, queue.used + queue.waiting, 1);
  const piece = (style, from, to) => {
    const found = make("i", { class: style });
    found.style.left = `${(100 * from) / most}%`;
    found.style.width = `${(100 * Math.max(0, to - from)) / most}%`;
    return found;
  };
  const own = queue.used - queue.borrowed;
  return make("div", { class: "bar", "aria-hidden": "true" }, piece("used", 0, own), piece("borrowed", own, queue.used),
    piece("waits", queue.used, queue.used + queue.waiting),
    queue.limit < 0 ? "" : piece("frame", 0, queue.limit), queue.quota > 0 ? piece("quota", 0, queue.quota) : "");
}

function queues() {
  const rows = data.teams.flatMap((one) => one.queues.filter((queue) => matches(one.name, queue.name)).map((queue) =>
    make("tr", {}, make("td", { class: queue.leaf ? "leaf" : "" }, queue.leaf ? "" : key(one.name), queue.name), make("td", {}, bar(queue)),
      make("td", { class: "n" }, plain(queue.used)), make("td", { class: "n" }, bound(queue.quota)), make("td", { class: "n" }, bound(queue.limit)),
      make("td", { class: "n" }, queue.borrowed ? plain(queue.borrowed) : "–"), make("td", { class: "n" }, queue.waiting ? plain(queue.waiting) : "–"),
      make("td", { class: "n" }, `${plain(queue.weight)} / ${queue.priority}`))));
  return rows.length ? table(["queue", "GPUs", "used", "quota", "limit", "borrowed", "waiting", "weight / priority"], rows)
    : make("p", { class: "dim" }, "none is seen");
}

function table(heads, rows) {
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, rows)));
}

// --- teams and the host

const VERDICTS = { pass: "good", simulated: "dim", warn: "warn", "no-capacity": "warn", "could-not-tell": "warn", fail: "bad" };

function check(one) {
  if (!one.check) return "–";
  return [make("span", { class: VERDICTS[one.check.verdict] || "" }, one.check.verdict), " ", when(one.check.at, " ago")];
}

function details(one) {
  const found = [one.check?.sentence, ...(one.check?.findings || []).map((each) => `${each.severity}: ${each.message} ${each.advice}`)];
  const parts = [...one.kai.map((each) => `${each.name} ${each.version}: ${each.ready} of ${each.wanted} ready`), ...found.filter(Boolean)];
  if (!parts.length) return make("span", {}, key(one.name), one.name);
  const result = make("details", {}, make("summary", { "data-key": `team ${one.name}` }, key(one.name), one.name),
    make("ul", {}, parts.map((text) => make("li", {}, text))));
  result.open = open.has(one.name);
  result.addEventListener("toggle", () => (result.open ? open.add(one.name) : open.delete(one.name)));
  return result;
}

function ready(components) {
  return `${components.filter((each) => each.ready >= each.wanted && each.wanted).length} of ${components.length}`;
}

function teams() {
  const rows = data.teams.filter((one) => matches(one.name, one.pool, one.namespace)).map((one) =>
    make("tr", {}, make("td", {}, details(one)), make("td", {}, one.pool || "–"), make("td", {}, one.mode || "–"),
      make("td", { class: one.api === "up" ? "good" : "bad" }, one.api.split(":")[0]), make("td", { class: "n" }, when(one.made) || "–"),
      make("td", { class: "n" }, one.gpus ? `${plain(one.gpus[0])} of ${plain(one.gpus[1])}` : "–"),
      make("td", {}, Object.entries(one.pods).map(([state, count]) => `${count} ${state}`).join(", ") || "–"),
      make("td", {}, one.vcluster || "–"), make("td", {}, one.kubernetes || "–"),
      make("td", {}, one.kai.length ? `${one.kaiVersion || "?"}, ${ready(one.kai)} ready` : "–"), make("td", {}, check(one))));
  return rows.length ? table(["team", "pool", "scheduler", "API", "age", "GPUs by the host's quota", "pods", "vCluster", "Kubernetes", "KAI", "check"], rows)
    : make("p", { class: "dim" }, "none that matches");
}

function host() {
  return [make("p", {}, `Kubernetes ${data.kubernetes || "not seen"}`), data.host.length ? table(["component", "version", "ready"],
    data.host.map((one) => make("tr", {}, make("td", {}, one.name), make("td", {}, one.version || "–"),
      make("td", { class: one.ready < one.wanted ? "bad n" : "n" }, `${one.ready} of ${one.wanted}`)))) : ""];
}

// --- the page

function draw() {
  document.title = `${data.faults.length ? `(${data.faults.length}) ` : ""}${data.stack}: GPU tenancy`;
  byId("stack").textContent = data.simulated ? `${data.stack}: a simulation, no GPU is real` : data.stack;
  const looks = data.teams.map((one) => [one.name, one.colour, one.pattern, one.mark]);
  put("faults", data.faults, faults);
  put("waiting", [data.waiting, data.unlisted, looks], waiting);
  put("pools", [data.pools, looks], pools);
  put("queues", [data.teams.map((one) => one.queues), looks], queues);
  put("teams", [data.teams, data.at.slice(0, 16)], teams);
  put("host", [data.host, data.kubernetes], host);
}

function say(text, stale) {
  byId("when").textContent = text;
  byId("when").classList.toggle("stale", stale);
}

async function read() {
  try {
    const answer = await fetch("data.json", etag ? { headers: { "If-None-Match": etag } } : {});
    if (answer.ok) {
      etag = answer.headers.get("ETag") || "";
      data = await answer.json();
      draw();
    } else if (answer.status !== 304 && answer.status !== 503) throw new Error(String(answer.status));
    if (data) {
      const old = Date.now() - Date.parse(data.at) > OLD_MS;
      say(`${old ? "OLD: " : ""}as of ${new Date(data.at).toLocaleTimeString()}${old ? "; a cluster answers slowly, or none does" : ""}`, old);
    }
  } catch {
    say(data ? `OLD: as of ${new Date(data.at).toLocaleTimeString()}; the dashboard's server has ended` : "the dashboard's server does not answer", true);
  }
  setTimeout(read, EVERY_MS);
}

byId("filter").addEventListener("input", () => data && draw());
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && event.target.tagName !== "INPUT") {
    event.preventDefault();
    byId("filter").focus();
  } else step(event);
});
for (const name of ["focusin", "pointerover"]) {
  document.addEventListener(name, (event) => {
    const here = event.target.closest?.(".tile");
    if (here) byId("about").textContent = here.getAttribute("aria-label");
  });
}
const within = byId("data");
if (within) {
  data = JSON.parse(within.textContent);
  draw();
  say(`written ${new Date(data.at).toLocaleString()}; it does not update`, false);
} else read();
