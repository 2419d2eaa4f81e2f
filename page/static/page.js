// What the page does: asks the server that it came from, and shows what that answers.

const POLL_MS = 2000;
const PAUSE_MS = 250;
const WORDS_OF_FLAGS = { short: "short", "not-prose": "not prose" };

const byId = (id) => document.getElementById(id);
const view = Object.fromEntries(
  ["text", "counts", "file", "sample", "policy", "policy-help", "settings", "weight", "weight-help", "fitted", "score",
    "busy", "state", "alert", "results", "verdict", "agreement", "stale", "answers", "reading", "reading-help", "legend",
    "readout", "time", "time-help", "waterfalls", "drop"].map((id) => [id, byId(id)]),
);

let setup = null; // what the server offers
let fitted = null; // the blend weight learned in training
let ends = [-3.5, 1.5]; // of the scale of scores
let chosenWeight = null; // null: as fitted
let isDown = false;
let owed = false; // a request that failed because a server was away
let running = new AbortController();
let shown = null; // the text and weight on display, and its sentences' scores

// Elements and figures

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((each) => each !== null));
  return made;
}

const figure = (value, digits = 2) =>
  value === null ? "none" : value.toFixed(digits).replace("-", "\u2212").replace(/^\u2212(0\.?0*)$/, "$1");
const share = (percentile) => `${Math.round(percentile)} %`;
const capital = (words) => words[0].toUpperCase() + words.slice(1);
const several = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const bandName = (scored) => (scored.band === null ? null : setup.bands[scored.band].name);

// Requests

class Refusal extends Error {
  constructor(kind, message, requestId) {
    super(message);
    Object.assign(this, { kind, requestId });
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("PageGone", "The program behind this page does not answer. Start `readability page` again.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  const error = answer?.error ?? { kind: "", message: `The page's server answers ${response.status}.` };
  throw new Refusal(error.kind, error.message, error.request_id);
}

const post = (path, fields, signal) =>
  ask(path, { method: "POST", body: JSON.stringify(fields), headers: { "content-type": "application/json" }, signal });

// The state of both servers

async function look() {
  try {
    if (setup === null) offer(await ask("api/setup"));
    const state = await ask("api/state");
    if (state.error) throw new Refusal(state.error.kind, state.error.message);
    describe(state);
    markUp(state.url);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    markDown(error);
  }
}

function markUp(url) {
  view.state.textContent = `Triton is ready at ${url.replace(/^\w+:\/\//, "")}`;
  view.state.className = "state ready";
  if (!isDown) return;
  isDown = false;
  view.alert.replaceChildren();
  if (owed) submit();
}

function markDown(error) {
  const isOwn = error.kind === "PageGone";
  view.state.textContent = isOwn ? "The page has lost its server" : "Triton does not answer";
  view.state.className = "state down";
  if (!isDown) complain(error, "The text stays here. The page looks every two seconds, and goes on by itself.");
  isDown = true;
  setTimeout(look, POLL_MS);
}

const isOutage = (error) => ["PageGone", "ServerUnreachableError", "ModelUnavailableError"].includes(error.kind);

function complain(error, more = "") {
  const title = { PageGone: "No connection", ServerUnreachableError: "Triton does not answer" }[error.kind];
  const id = error.requestId ? `Request ${error.requestId} in the server's log.` : "";
  view.alert.replaceChildren(
    element(
      "div",
      { class: "banner" },
      title ? element("strong", {}, title) : null,
      element("p", {}, error.message),
      more ? element("p", {}, more) : null,
      id ? element("small", {}, id) : null,
    ),
  );
}

// Options

function offer(offered) {
  setup = offered;
  view.file.accept = setup.endings.join(",");
  view.sample.append(...setup.samples.map(({ name }, at) => element("option", { value: at }, title(name))));
  view.policy.append(...setup.policies.map(({ name }) => element("option", {}, name)));
  view.policy.value = setup.policies.some(({ name }) => name === "guard") ? "guard" : setup.policies[0].name;
  view.legend.append(...legend());
  showPolicy();
}

const title = (name) => capital(name.replace(/^\d+-/, "").replaceAll("-", " "));

function describe(state) {
  fitted = state.fitted_weight;
  if (state.quantiles.length) ends = [state.quantiles[0], state.quantiles.at(-1)];
  if (chosenWeight === null && fitted !== null) view.weight.value = fitted;
  showWeight();
}

function showWeight() {
  const encoder = Number(view.weight.value);
  const isFitted = chosenWeight === null || chosenWeight === fitted;
  const shares = `${figure(encoder)} encoder, ${figure(1 - encoder)} forest`;
  view["weight-help"].textContent = isFitted ? `${shares}: as fitted in training` : `${shares}: no interval or level`;
  view.weight.setAttribute("aria-valuetext", shares);
  view.fitted.hidden = isFitted;
}

function showPolicy() {
  const policy = setup.policies.find(({ name }) => name === view.policy.value);
  view["policy-help"].textContent = policy.description.replaceAll("`", "");
  view.settings.hidden = !policy.settings.length;
  view.settings.className = "option several";
  view.settings.replaceChildren(...policy.settings.map(settingField));
}

function settingField({ name, default: usual, choices }) {
  const id = `setting-${name}`;
  const field = choices.length
    ? element("select", { id, name }, ...choices.map((each) => element("option", { selected: each === usual }, each)))
    : element("input", { id, name, type: "number", min: 0, step: "any", value: usual });
  field.dataset.usual = usual;
  return element("div", {}, element("label", { for: id }, name), field);
}

function chosenSettings() {
  const fields = [...view.settings.querySelectorAll("[name]")];
  const changed = fields.filter((field) => field.value !== "" && field.value !== field.dataset.usual);
  const value = (field) => (field.type === "number" ? Number(field.value) : field.value);
  return Object.fromEntries(changed.map((field) => [field.name, value(field)]));
}

// Scoring

async function submit() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const asked = { text: view.text.value, weight: chosenWeight };
  showBusy("Scoring …");
  try {
    const answer = await post("api/score", { ...asked, policy: view.policy.value, settings: chosenSettings() }, signal);
    const failures = Object.values(answer.pipelines).map(({ error }) => error);
    if (failures.every((error) => error && isOutage(error))) {
      throw new Refusal(failures[0].kind, failures[0].message, failures[0].request_id);
    }
    settle();
    showAnswer(asked, answer);
    await scoreSentences(asked, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    fail(error);
  }
}

function fail(error) {
  showBusy("");
  if (!(error instanceof Refusal)) throw error;
  owed = isOutage(error);
  if (owed) markDown(error);
  else complain(error);
}

function settle() {
  owed = false;
  if (!isDown) view.alert.replaceChildren();
  showBusy("");
}

function showBusy(words) {
  view.busy.textContent = words;
  view.results.classList.toggle("busy", Boolean(words));
}

async function scoreSentences(asked, signal) {
  if (shown.sentences === null) {
    view["reading-help"].textContent = "Scoring the sentences …";
    try {
      shown.sentences = (await post("api/sentences", asked, signal)).sentences;
    } catch (error) {
      if (error.name !== "AbortError") view["reading-help"].textContent = `Sentences have no score: ${error.message}`;
      throw error;
    }
  }
  showText();
}

// Answers

function showAnswer(asked, answer) {
  const sameSentences = shown && shown.text === asked.text && shown.weight === asked.weight;
  shown = { ...asked, answer, sentences: sameSentences ? shown.sentences : null };
  view.results.hidden = false;
  view.stale.hidden = true;
  const main = mainAnswer(answer);
  view.verdict.textContent = main ? verdict(main) : "No score";
  view.agreement.textContent = agreement(answer, main);
  view.answers.replaceChildren(...setup.pipelines.map((name) => answerCard(name, answer.pipelines[name], answer)));
  showText();
  if (!isInView(view.verdict)) view.verdict.scrollIntoView({ behavior: motion(), block: "nearest" });
}

const motion = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");

function isInView(part) {
  const { top, bottom } = part.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
}

// The pipeline whose scores colour the text: the one that has the policy, unless it gave none.
const coloursBy = ({ pipelines }) =>
  [...setup.pipelines].reverse().find((name) => !pipelines[name].error && pipelines[name].score !== null) ?? null;
const mainAnswer = (answer) => answer.pipelines[coloursBy(answer)] ?? null;

function verdict(scored) {
  const parts = [];
  if (scored.percentile !== null) parts.push(`easier than ${share(scored.percentile)} of the training excerpts`);
  if (scored.level) parts.push(`about CEFR ${scored.level}`);
  return [capital(bandName(scored) ?? `score ${figure(scored.score)}`), parts.join(", ")].filter(Boolean).join(": ");
}

function agreement({ pipelines, passages }, main) {
  if (!main) return "Neither pipeline gives a score.";
  const [one, other] = setup.pipelines.map((name) => pipelines[name].score ?? null);
  const words = passages.reduce((sum, each) => sum + each.words, 0);
  const about = `${several(words, "word")} in ${several(passages.length, "passage")}.`;
  if (one === null || other === null) return `${about} One of the pipelines gives no score.`;
  const difference = Math.abs(one - other);
  if (difference <= 1e-5) return `${about} Both pipelines give the same score.`;
  return `${about} The pipelines differ by ${figure(difference, difference < 0.01 ? 5 : 2)}.`;
}

function answerCard(name, scored, { passages, order }) {
  if (scored.error) {
    const failed = element("p", { class: "failed" }, `${capital(scored.error.message)}`);
    return element("article", { class: "card answer" }, element("h3", {}, name), failed);
  }
  const place = order.indexOf(name) ? "asked second" : "asked first";
  return element(
    "article",
    { class: "card answer" },
    element("div", { class: "row" }, element("h3", {}, name), took(scored, place)),
    element("dl", { class: "figures" }, ...figures(scored)),
    ...(scored.score === null ? [] : [scale(scored), scaleEnds()]),
    element("ul", { class: "remarks" }, ...remarks(name, scored, passages).map(remark)),
  );
}

const took = (scored, place) => element("span", { class: "took" }, `${scored.milliseconds.toFixed(1)} ms, ${place}`);

function figures(scored) {
  const pairs = [[scored.refused ? "refused" : "score, higher is easier", figure(scored.score)]];
  if (scored.percentile !== null) pairs.push(["easier than", share(scored.percentile)]);
  if (scored.level) pairs.push(["CEFR", scored.level]);
  if (scored.low !== null) pairs.push(["interval", `${figure(scored.low)} to ${figure(scored.high)}`]);
  return pairs.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value)));
}

function scale(scored) {
  const [low, high] = [Math.min(ends[0], -4.5), Math.max(ends[1], 2.5)];
  const place = (score) => `${Math.min(Math.max(((score - low) / (high - low)) * 100, 0), 100)}%`;
  const interval = scored.low === null ? "" : `, interval ${figure(scored.low)} to ${figure(scored.high)}`;
  const drawn = element("div", { class: "scale", role: "img", "aria-label": `Score ${figure(scored.score)}${interval}` });
  if (scored.low !== null) {
    const bar = element("span");
    bar.style.left = place(scored.low);
    bar.style.right = `calc(100% - ${place(scored.high)})`;
    drawn.append(bar);
  }
  const dot = element("i");
  dot.style.left = place(scored.score);
  drawn.append(dot);
  return drawn;
}

const scaleEnds = () =>
  element("div", { class: "ends", "aria-hidden": true }, element("span", {}, "harder"), element("span", {}, "easier"));

// Whatever a reader must know of an answer, as pairs of words and whether they are a warning.
function remarks(name, scored, passages) {
  const found = [];
  if (scored.degraded) {
    const which = passages.length > 1 ? ` in ${several(scored.degraded, "passage")} of ${passages.length}` : "";
    found.push([`Degraded${which}: not the blend that was asked for.`, true]);
  }
  for (const flag of scored.flags ?? []) found.push([`Flag: ${flagInWords(flag)}. The score is doubtful.`, true]);
  if (scored.refused) found.push(["Refused because of its flags; there is no score.", true]);
  const others = scored.answered_by.filter((each) => each && each !== name);
  if (others.length) found.push([`Answered by ${others.join(" and ")} in its place.`, true]);
  const routes = scored.routes.filter((route) => route && route !== name);
  if (routes.length) found.push([`Scores from ${routes.map((each) => each.replaceAll("+", " and ")).join("; ")}.`, false]);
  if (scored.score !== null) found.push([intervalInWords(scored, passages), false]);
  return found;
}

const flagInWords = (flag) => WORDS_OF_FLAGS[flag] ?? `in language ${flag.split(":")[1]}`;

function intervalInWords(scored, passages) {
  if (scored.low === null) {
    const longest = scored.fitted_weight !== null && scored.weight === scored.fitted_weight;
    return longest ? "No interval: not known for such an answer." : "No interval: it is known for the fitted weight only.";
  }
  if (passages.length > 1) return "Mean of the passages; the interval is the mean of theirs, and wide.";
  return "The interval holds what people would say of 90 % of texts.";
}

const remark = ([words, isWarning]) => element("li", { class: isWarning ? "warning" : null }, words);

// The text, coloured

function legend() {
  return setup.bands.map(({ name, least }, band) => {
    const most = setup.bands[band + 1]?.least ?? 100;
    const range = element("small", {}, `easier than ${least} to ${most} %`);
    return element("li", {}, element("span", { class: "band", "data-band": band }, name), " ", range);
  });
}

function showText() {
  const { text, answer, sentences } = shown;
  const characters = Array.from(text); // the server counts code points
  const scored = mainAnswer(answer);
  const parts = [];
  let at = 0;
  answer.passages.forEach((passage, number) => {
    if (passage.start > at) parts.push(gap(characters.slice(at, passage.start)));
    parts.push(passagePart(characters, passage, number, scored, sentences));
    at = passage.end;
  });
  parts.push(gap(characters.slice(at)));
  view.reading.replaceChildren(...parts.filter((each) => each !== null));
  view.reading.querySelector(".sentence")?.setAttribute("tabindex", "0");
  view.readout.textContent = "Point at a sentence, tap it, or go there with Tab and the arrow keys.";
  if (sentences === null) return;
  const by = coloursBy(answer);
  const bars = answer.passages.length > 1 && by ? ` The bar beside each passage is ${by}'s score of it.` : "";
  view["reading-help"].textContent =
    "Colour and underline say how hard each sentence would be as a text of its own. Single sentences err more than " +
    `passages: compare them, and trust the passage.${bars}`;
}

// White space between passages is theirs to show; anything else there has no word, and so no score.
function gap(characters) {
  const text = characters.join("");
  return text.trim() ? element("div", {}, text.trim()) : null;
}

function passagePart(characters, passage, number, scored, sentences) {
  const own = scored?.passages[number] ?? null;
  const count = scored?.passages.length ?? shown.answer.passages.length;
  const name = own ? passageName(passage, own, number, count) : `Passage ${number + 1} of ${count}`;
  const made = element("div", { class: "passage", role: "group", "aria-label": name, "data-band": own?.band });
  if (count > 1) {
    const mark = number === scored?.hardest ? element("b", {}, " \u00b7 hardest") : null;
    made.append(element("p", { class: "passage-title", "aria-hidden": true }, name, mark));
  }
  let at = passage.start;
  const within = (sentences ?? []).filter(({ start, end }) => start < passage.end && end > passage.start);
  for (const sentence of within) {
    const [start, end] = [Math.max(sentence.start, passage.start), Math.min(sentence.end, passage.end)];
    made.append(characters.slice(at, start).join(""), sentencePart(characters.slice(start, end).join(""), sentence));
    at = end;
  }
  made.append(characters.slice(at, passage.end).join(""));
  return made;
}

function passageName(passage, scored, number, count) {
  const parts = [`Passage ${number + 1} of ${count}`, several(passage.words, "word")];
  return [...parts, ...meaning(scored)].join(" \u00b7 ");
}

function meaning(scored) {
  if (scored.score === null) return [scored.refused ? "refused" : "no score"];
  const parts = [`score ${figure(scored.score)}`];
  if (bandName(scored)) parts.unshift(bandName(scored));
  if (scored.percentile !== null) parts.push(`easier than ${share(scored.percentile)}`);
  if (scored.level) parts.push(`CEFR ${scored.level}`);
  if (scored.degraded) parts.push("degraded");
  return parts;
}

function sentencePart(text, sentence) {
  const words = bandName(sentence) ?? "no score";
  const attributes = { class: "sentence", role: "option", tabindex: -1, "aria-selected": false, "data-band": sentence.band };
  const made = element("span", attributes, text, element("span", { class: "hidden" }, ` (${words}) `));
  made.dataset.at = shown.sentences.indexOf(sentence);
  return made;
}

function readOut(part) {
  const at = Number(part.dataset.at);
  const sentence = shown.sentences[at];
  const interval = sentence.low === null ? "" : ` \u00b7 interval ${figure(sentence.low)} to ${figure(sentence.high)}`;
  const where = `Sentence ${at + 1} of ${shown.sentences.length}`;
  view.readout.replaceChildren(element("b", {}, where), ` \u00b7 ${meaning(sentence).join(" \u00b7 ")}${interval}`);
}

function select(part) {
  for (const other of view.reading.querySelectorAll('[tabindex="0"], [aria-selected="true"]')) {
    other.setAttribute("tabindex", "-1");
    other.setAttribute("aria-selected", "false");
  }
  part.setAttribute("tabindex", "0");
  part.setAttribute("aria-selected", "true");
  readOut(part);
}

function move(event) {
  const parts = [...view.reading.querySelectorAll(".sentence")];
  const at = parts.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: parts.length - 1 };
  if (at < 0 || !(event.key in to)) return;
  event.preventDefault();
  parts[Math.min(Math.max(to[event.key], 0), parts.length - 1)].focus();
}

// Files

async function read(file) {
  if (file.size > setup.largest_file) {
    complain(new Refusal("", `${file.name} is too large: the page takes ${setup.largest_file / 2 ** 20} MiB at most.`));
    return;
  }
  showBusy(`Reading ${file.name} …`);
  try {
    const path = `api/text?name=${encodeURIComponent(file.name)}`;
    const { text } = await ask(path, { method: "POST", body: file });
    settle();
    view.text.value = text;
    changed();
    await submit();
  } catch (error) {
    showBusy("");
    if (isOutage(error)) markDown(error);
    else complain(error);
  }
}

// Events

function changed() {
  const words = view.text.value.match(/\S+/g)?.length ?? 0;
  view.counts.textContent = several(words, "word");
  view.stale.hidden = shown === null || shown.text === view.text.value;
}

let pause = 0;
function play() {
  clearTimeout(pause);
  if (shown !== null && !isDown) pause = setTimeout(submit, PAUSE_MS);
}

view.text.addEventListener("input", changed);
view.score.addEventListener("click", submit);
view.policy.addEventListener("change", () => (showPolicy(), play()));
view.settings.addEventListener("change", play);
view.weight.addEventListener("input", () => ((chosenWeight = Number(view.weight.value)), showWeight()));
view.weight.addEventListener("change", play);
view.fitted.addEventListener("click", () => {
  chosenWeight = null;
  view.weight.value = fitted;
  showWeight();
  view.weight.focus();
  play();
});
view.sample.addEventListener("change", () => {
  if (view.sample.value === "") return;
  view.text.value = setup.samples[Number(view.sample.value)].text;
  view.sample.value = "";
  changed();
  submit();
});
view.file.addEventListener("change", () => {
  if (view.file.files.length) read(view.file.files[0]);
  view.file.value = "";
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  submit();
});

view.reading.addEventListener("keydown", move);
view.reading.addEventListener("focusin", (event) => event.target.matches(".sentence") && select(event.target));
view.reading.addEventListener("click", (event) => event.target.closest(".sentence")?.focus());
view.reading.addEventListener("mouseover", (event) => {
  const part = event.target.closest(".sentence");
  if (part) readOut(part);
});
view.reading.addEventListener("mouseleave", () => {
  const selected = view.reading.querySelector('[aria-selected="true"]');
  if (selected) readOut(selected);
});

const hasFile = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  view.drop.hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) view.drop.hidden = true;
});
document.addEventListener("drop", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  view.drop.hidden = true;
  if (setup && event.dataTransfer.files.length) read(event.dataTransfer.files[0]);
});

changed();
look();
