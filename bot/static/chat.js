/* The page of the web chat: show what was said, send what the learner does. */
"use strict";

const $ = (id) => document.getElementById(id);
const told = JSON.parse($("told").textContent);
const PAST = "kaona:" + told.memory; // where this tab remembers the learner's own side
const THAI = /[\u0e01-\u0e4e]/g, LETTER = /\p{L}/gu;
const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]]/g;
const FINAL = ["too_long", "too_big", "not_a_picture", "bad_request"]; // no use trying again
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const room = $("scroll"), box = $("text");
const turns = new WeakMap(), files = new WeakMap(); // what the learner did -> its bubble; its photo

let words = told.words[told.lang];
let newest = 0; // the id of the newest message from Kaona
let question = null; // the open one: { stamp, choices }
let pressed = false; // an answer to it is on its way
let running = 0; // requests
let queue = Promise.resolve(); // one request at a time, in the order of typing
let own = recall();
let stream = null;
let last = {}; // whose the last bubble is, and of which day
let following = true; // the learner is at the end, not reading further up
let anchor = null; // the first bubble of the newest answer

/* --- small things ------------------------------------------------------------------ */
function make(tag, className, ...inside) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...inside.filter(Boolean));
  return node;
}

function makeButton(className, onclick, ...inside) {
  return Object.assign(make("button", className, ...inside), { type: "button", onclick });
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(PAST)) || [];
  } catch {
    return []; // storage is off: the learner's side lives as long as the page
  }
}

function keep() {
  for (let count = 200; count >= 1; count >>= 1) {
    try {
      return sessionStorage.setItem(PAST, JSON.stringify((own = own.slice(-count))));
    } catch {
      /* full: remember less */
    }
  }
}

function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // plain http has no randomUUID
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4}).(.{3}).(.{3})/, "$1-$2-4$3-8$4-");
}

/* Give the answer of the server, or throw the key of the words that tell what went wrong. */
async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout?.(30000) });
    if (answer.ok) return await answer.json();
  } catch {
    throw "failed";
  }
  const { error } = await answer.json().catch(() => ({}));
  throw error in words ? error : answer.status >= 500 ? "unavailable" : "failed";
}

function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/* --- the language of the page follows the conversation ------------------------------ */
function overhear(messages) {
  const heard = messages.flatMap((message) => message.replies.map((reply) => reply.text)).join(" ");
  const letters = heard.match(LETTER)?.length;
  if (letters) speak((heard.match(THAI)?.length || 0) * 2 > letters ? "th" : "en");
}

function speak(lang) {
  if (document.documentElement.lang === lang) return;
  words = told.words[lang];
  document.documentElement.lang = lang;
  document.title = words.chat_title;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
  for (const node of document.querySelectorAll("[data-label]")) node.ariaLabel = words[node.dataset.label];
  box.placeholder = words.placeholder;
}

/* --- bubbles ----------------------------------------------------------------------- */
function written(text) {
  const node = make("span", "text");
  let from = 0;
  for (const { 0: url, index } of text.matchAll(LINK)) {
    node.append(text.slice(from, index), link(url, url));
    from = index + url.length;
  }
  node.append(text.slice(from));
  return node;
}

function link(url, label) {
  const node = make("a", "", label, make("span", "unseen", ` (${words.new_tab})`));
  return Object.assign(node, { href: url, target: "_blank", rel: "noopener noreferrer" });
}

function picture(source, alt) {
  if (!source) return make("span", "text", alt);
  const enlarge = () => {
    $("viewed").src = source;
    $("caption").textContent = alt;
    $("viewer").showModal();
  };
  const image = Object.assign(make("img"), { src: source, alt });
  return Object.assign(makeButton("picture", enlarge, image), { title: words.enlarge });
}

function clock(at) {
  const zone = { timeZone: "Asia/Bangkok" };
  const lang = document.documentElement.lang;
  const dayOf = (date) => date.toLocaleDateString("sv", zone); // as 2025-11-20
  const known = { [dayOf(new Date(Date.now() - 864e5))]: words.yesterday, [dayOf(new Date())]: words.today };
  const time = at.toLocaleTimeString(lang, { ...zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return { time, day: dayOf(at), date: known[dayOf(at)] || at.toLocaleDateString(lang, { ...zone, dateStyle: "long" }) };
}

function bubble(whose, at, ...inside) {
  const { time, day, date } = clock(at);
  if (day !== last.day) $("log").append(make("p", "day", date));
  const more = day === last.day && whose === last.whose ? " more" : "";
  const said = make("span", "unseen", (whose === "me" ? words.you_said : words.bot_said) + " ");
  const when = Object.assign(make("time", "", time), { dateTime: at.toISOString() });
  const turn = make("div", "turn " + whose + more, make("div", "bubble", said, ...inside), when);
  last = { whose, day };
  $("log").append(turn);
  return turn;
}

function hear(message) {
  const shown = message.replies.map(({ title, picture: drawn, text, choices }) => {
    const links = choices.filter((choice) => choice.url).map((choice) => link(choice.url, choice.label));
    const top = [title && make("strong", "title", title), drawn && picture(drawn.src, drawn.alt)];
    const inside = [...top, text && written(text), links.length && make("span", "links", ...links)].filter(Boolean);
    if (!inside.length) return null; // nothing but buttons
    const turn = bubble("bot", new Date(message.at), ...inside);
    turn.classList.toggle("card", Boolean(title));
    turn.classList.toggle("wide", Boolean(drawn?.src));
    return turn;
  });
  const asked = message.replies.map(({ stamp, choices }) => ({ stamp, choices: choices.filter((choice) => !choice.url) }));
  const open = asked.filter((each) => each.choices.length).pop();
  if (open || !message.replies.every((reply) => reply.notify)) question = open; // a mere notice asks nothing new
  newest = message.id;
  return shown.find(Boolean);
}

function receive(messages) {
  const fresh = messages.filter((message) => message.id > newest);
  if (!fresh.length) return;
  const end = following || below(room.scrollTop) < 48;
  overhear(fresh);
  const first = fresh.map(hear)[0];
  offer();
  if (end) down(first);
  else $("newest").hidden = false;
}

function offer() {
  $("choices").hidden = !question || pressed;
  if (!question) return;
  $("choices").classList.toggle("letters", question.choices.every(({ label }) => [...label].length <= 3));
  $("choices").replaceChildren(...question.choices.map(({ id, label, says }) => {
    const what = { press: { stamp: question.stamp, choice: id }, text: says || label };
    const button = makeButton("", (event) => act(what, event.detail === 0), label);
    const spoken = says.startsWith(label) ? says : `${label} ${says}`;
    return says ? Object.assign(button, { title: says, ariaLabel: spoken }) : button;
  }));
}

/* --- scrolling --------------------------------------------------------------------- */
const below = (top) => room.scrollHeight - room.clientHeight - top;

function down(first = null, behavior = calm.matches ? "instant" : "smooth") {
  [anchor, following] = [first, true];
  const bottom = below(0);
  const top = first ? Math.min(bottom, first.offsetTop - 12) : bottom; // a long answer is read from its top
  room.scrollTo({ top, behavior });
  $("newest").hidden = below(top) < 48;
}

const leave = () => ([anchor, following] = [null, false]);

/* --- saying ------------------------------------------------------------------------ */
function act(what, byKey) {
  const entry = { id: uuid(), after: newest, at: Date.now(), ...what };
  own.push(show(entry));
  deliver(entry, byKey);
  return entry;
}

function show(entry) {
  turns.set(entry, bubble("me", new Date(entry.at), entry.thumb ? picture(entry.thumb, words.photo_sent) : written(entry.text)));
  down();
  return entry;
}

function deliver(entry, byKey = false) {
  turns.get(entry)?.querySelector(".error")?.remove();
  queue = queue.then(() => attempt(entry, byKey));
}

async function attempt(entry, byKey) {
  $("typing").hidden = !++running;
  pressed = Boolean(entry.press);
  offer();
  keep();
  try {
    const { messages } = await send(entry);
    [entry.sent, pressed] = [true, false];
    receive(messages);
  } catch (wrong) {
    entry.wrong = String(wrong);
    complain(entry, () => deliver(entry));
  }
  pressed = false;
  offer();
  $("typing").hidden = !--running;
  keep();
  if (byKey) ($("choices").hidden ? box : $("choices").firstElementChild).focus({ preventScroll: true });
}

function send(entry) {
  const { id, text, press, start, code, thumb } = entry;
  const what = start ? { start, code } : press ? { press } : { text };
  if (!thumb) return post("/chat/say", { id, after: newest, ...what });
  const body = new FormData();
  for (const [name, value] of Object.entries({ id, after: newest, photo: files.get(entry) })) body.append(name, value);
  return ask("/chat/photo", { method: "POST", body });
}

function complain(entry, retry) {
  const { wrong, thumb } = entry;
  const hopeless = FINAL.includes(wrong) || (thumb && !files.has(entry));
  const again = wrong === "no_cookie" ? makeButton("", () => location.reload(), words.reload) : makeButton("", retry, words.again);
  const turn = turns.get(entry) || $("log").appendChild(make("div", "turn"));
  turn.append(make("div", "error", make("span", "", words[wrong]), !hopeless && again));
  turns.set(entry, turn);
  down();
}

function refuse(key) {
  $("refusal").textContent = words[key] || "";
  $("refusal").hidden = !key;
}

/* --- photos: made smaller first, which also leaves out where they were taken --------- */
async function shrink(source, size) {
  const image = await createImageBitmap(source);
  const scale = Math.min(1, size / Math.max(image.width, image.height));
  const canvas = make("canvas");
  canvas.width = Math.ceil(image.width * scale);
  canvas.height = Math.ceil(image.height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

async function attach(file) {
  refuse("");
  if (!/^image\/(jpeg|png|webp)$/.test(file.type)) return refuse("not_a_picture");
  try {
    const canvas = await shrink(file, 2000);
    const photo = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.86));
    if (photo.size > told.biggest) return refuse("too_big");
    const thumb = (await shrink(canvas, 320)).toDataURL("image/jpeg", 0.7);
    files.set(act({ thumb }), photo);
  } catch {
    refuse("not_a_picture");
  }
}

/* --- what the learner touches -------------------------------------------------------- */
function grow() {
  box.style.height = "auto";
  box.style.height = Math.min(box.scrollHeight + 3, 132) + "px";
  if ([...box.value].length <= told.longest) refuse("");
}

function submit(event) {
  event.preventDefault();
  const text = box.value.trim();
  if ([...text].length > told.longest) return refuse("too_long");
  box.value = "";
  grow();
  if (text) act({ text });
}

function showAbout(open) {
  document.body.classList.toggle("about-open", open);
  $("open-about")?.setAttribute("aria-expanded", open);
  $("phone").inert = open;
  (open ? $("close-about") : $("open-about"))?.focus();
}

function listen() {
  $("composer").addEventListener("submit", submit);
  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && submit(event));
  $("file").addEventListener("change", ({ target }) => {
    const file = target.files[0];
    target.value = "";
    if (file) attach(file);
  });
  $("menu").addEventListener("click", () => act({ text: words.say_menu }));
  $("language").addEventListener("click", () => act({ text: words.say_language }));
  $("newest").addEventListener("click", () => down());
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) room.addEventListener(kind, leave, { passive: true });
  room.addEventListener("scroll", () => below(room.scrollTop) < 48 && ((following = true), ($("newest").hidden = true)));
  const settle = new ResizeObserver(() => following && down(anchor, "instant")); // a picture came, the keyboard opened
  [room, $("log"), $("choices")].forEach((node) => settle.observe(node));
  $("viewer").addEventListener("click", ({ target }) => target === $("viewer") && $("viewer").close());
  $("open-about")?.addEventListener("click", () => showAbout(true));
  $("close-about").addEventListener("click", () => showAbout(false));
  addEventListener("hashchange", () => location.hash.startsWith("#code=") && start());
  addEventListener("keydown", ({ key }) => key === "Escape" && $("phone").inert && showAbout(false));
  matchMedia("(min-width: 900px)").addEventListener("change", () => $("phone").inert && showAbout(false));
}

/* --- the demo's made-up people ------------------------------------------------------- */
async function introduce() {
  const { personas, me } = await ask("/chat/personas");
  const nobody = { id: "new", name: words.demo_new, about: words.demo_new_about, group: "" };
  $("people").replaceChildren(...[nobody, ...personas].map(({ id, name, about, group }) => {
    const letter = id === "new" ? "+" : name.match(/[^\P{L}\u0e40-\u0e44]/u)?.[0]; // Thai vowels written first are no initials
    const inside = [make("span", "name", name), make("span", "facts", about), group && make("span", "group", group)];
    const become = () => post("/chat/as", { persona: id }).then(() => location.reload(), refuse);
    const button = makeButton("", become, make("span", "initial", letter || "?"), ...inside);
    button.firstChild.ariaHidden = "true";
    if (id === (me ?? "new")) button.ariaCurrent = "true";
    return make("li", "", button);
  }));
}

/* --- keeping up ---------------------------------------------------------------------- */
function pull() {
  queue = queue.then(() => ask("/chat/messages?after=" + newest)).then(({ messages }) => receive(messages)).catch(() => {});
}

function watch() {
  stream = stream?.close();
  if (document.hidden || !window.EventSource) return; // a browser has few connections to spare
  stream = new EventSource("/chat/stream?after=" + newest);
  stream.addEventListener("new", pull);
}

function remember(messages) {
  const reached = messages.length === 50 ? messages[0].id : 0;
  const past = own.filter((entry) => entry.after >= reached);
  const remind = (entry) => show(entry).sent || complain(Object.assign(entry, { wrong: entry.wrong || "failed" }), () => deliver(entry));
  for (const message of messages) {
    while (past.length && past[0].after < message.id) remind(past.shift());
    hear(message);
  }
  past.forEach(remind);
  offer();
  down(null, "instant");
}

/* Begin, with the code that a QR may have brought behind the #: once, and out of the address. */
function start() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code") || "";
  if (code) history.replaceState(null, "", location.pathname);
  deliver({ id: uuid(), start: true, code });
}

async function begin() {
  $("log").replaceChildren();
  last = {};
  try {
    const { messages } = await ask("/chat/messages?after=0");
    [overhear, remember].forEach((each) => each(messages));
    if (location.hash.startsWith("#code=") || !messages.length) start();
  } catch (wrong) {
    return complain({ wrong: wrong === "failed" ? "failed_load" : wrong }, begin);
  }
  $("log").ariaBusy = "false";
  watch();
  setInterval(() => document.hidden || running || stream?.readyState === 1 || pull(), 5000);
  document.addEventListener("visibilitychange", () => (watch(), document.hidden || pull()));
}

listen(), begin();
if (told.demo) introduce().catch(() => refuse("failed_people"));
