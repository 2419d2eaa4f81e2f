// The page: asks both pipelines for a text, and shows what they answer.

import { agreement, answerCard, verdict } from "./answers.js";
import { byId, element } from "./elements.js";
import { chosenOptions, offerPolicies, useFittedWeight } from "./options.js";
import { legend as bandLegend, showText } from "./reading.js";
import { Refusal, ask, post } from "./requests.js";
import { legend as timeLegend, waterfall } from "./waterfalls.js";
import { capital, several, useBands } from "./words.js";

const TITLES = { true: "Waiting for Triton", false: "Triton does not answer" }; // by whether it never did
const POLL_MS = 2000;
const PAUSE_MS = 250; // after an option was changed, before the text is scored again

const view = Object.fromEntries(
  [
    "text", "counts", "file", "sample", "score", "busy", "said", "state", "alert", "results", "verdict", "agreement",
    "stale", "answers", "reading-help", "legend", "time", "waterfalls", "time-legend", "drop",
  ].map((id) => [id, byId(id)]),
);

let setup = null; // what the page's server offers
let quantiles = []; // of the training excerpts' scores
let isUp = null; // whether Triton answers; null before it ever did
let owed = false; // whether a request failed because a server was away
let running = new AbortController();
let shown = null; // the text and weight on display, the answer, and the sentences' scores

// The state of both servers

let timer = 0;
async function look() {
  clearTimeout(timer);
  try {
    const offered = setup ?? (await ask("api/setup"));
    if (setup === null) offer(offered); // unless another look was faster
    const state = await ask("api/state");
    if (state.error) throw Refusal.of(state.error);
    quantiles = state.quantiles;
    useFittedWeight(state.fitted_weight);
    markUp(state.url);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    markDown(error);
  }
}

function markUp(url) {
  view.state.textContent = `Triton is ready at ${url.replace(/^\w+:\/\//, "")}`;
  view.state.className = "state ready";
  if (isUp !== true) view.alert.replaceChildren();
  isUp = true;
  if (owed) submit();
}

function markDown(error) {
  const title = error.kind === "PageGone" ? "The page has lost its server" : TITLES[isUp === null];
  view.state.textContent = title;
  view.state.className = isUp === null && error.isOutage ? "state" : "state down";
  complain(error, title, "The text stays here. The page looks every two seconds, and goes on by itself.");
  if (isUp) isUp = false;
  clearTimeout(timer);
  timer = setTimeout(look, POLL_MS);
}

function complain(error, title = null, more = null) {
  const id = error.requestId ? `Request ${error.requestId} in the server's log.` : null;
  const words = [title, error.message, more, id].join("\n");
  if (view.alert.dataset.words === words && view.alert.hasChildNodes()) return; // a screen reader would say it again
  view.alert.dataset.words = words;
  view.alert.replaceChildren(
    element(
      "div",
      { class: isUp === null && error.isOutage ? "banner calm" : "banner" },
      title && element("strong", {}, title),
      element("p", {}, capital(error.message)),
      more && element("p", {}, more),
      id && element("small", {}, id),
    ),
  );
}

function offer(offered) {
  setup = offered;
  useBands(setup.bands);
  view.file.accept = setup.endings.join(",");
  view.sample.append(...setup.samples.map(({ name }, at) => element("option", { value: at }, sampleTitle(name))));
  view.legend.append(...bandLegend());
  view["time-legend"].append(...timeLegend());
  offerPolicies(setup.policies, play);
}

const sampleTitle = (name) => capital(name.replace(/^\d+-/, "").replaceAll("-", " "));

// Scoring

async function submit() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const text = view.text.value;
  if (!text.trim()) return refuseEmpty();
  if (setup === null) {
    owed = true;
    return look();
  }
  showBusy("Scoring …");
  try {
    const asked = { text, ...chosenOptions() };
    const answer = await post("api/score", asked, signal);
    const failures = Object.values(answer.pipelines).map(({ error }) => error && Refusal.of(error));
    if (failures.every((error) => error?.isOutage)) throw failures[0];
    settle();
    showAnswer(asked, answer);
    await scoreSentences(asked, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    showBusy("");
    if (!(error instanceof Refusal)) throw error;
    fail(error);
  }
}

function refuseEmpty() {
  settle();
  complain(new Refusal("", "There is no text yet: type or paste one, or open a file."));
  view.text.focus();
}

function fail(error) {
  owed = error.isOutage;
  if (owed) markDown(error);
  else complain(error);
}

function settle() {
  owed = false;
  view.alert.replaceChildren();
  showBusy("");
}

function showBusy(words) {
  view.busy.textContent = words;
  view.results.classList.toggle("busy", Boolean(words));
}

async function scoreSentences({ text, weight }, signal) {
  if (shown.sentences !== null) return;
  view["reading-help"].textContent = "Scoring the sentences …";
  try {
    shown.sentences = (await post("api/sentences", { text, weight }, signal)).sentences;
  } catch (error) {
    const isAborted = error.name === "AbortError";
    view["reading-help"].textContent = isAborted ? "" : `Sentences have no score: ${error.message}`;
    throw error;
  }
  showReading();
}

// What there is to see

function showAnswer({ text, weight }, answer) {
  const isSame = shown?.text === text && shown.weight === weight;
  shown = { text, weight, answer, sentences: isSame ? shown.sentences : null };
  view.results.hidden = false;
  changed();
  view.said.textContent = view.verdict.textContent = verdict(mainAnswer());
  view.agreement.textContent = agreement(answer);
  view.answers.replaceChildren(...setup.pipelines.map((name) => answerCard(name, answer, quantiles)));
  showReading();
  showTime(answer);
  if (!isInView(view.verdict)) view.verdict.scrollIntoView({ behavior: motion(), block: "nearest" });
}

// The pipeline whose scores colour the text: the one that has the policy, unless it gave none.
const coloursBy = ({ pipelines }) =>
  [...setup.pipelines].reverse().find((name) => !pipelines[name].error && pipelines[name].score !== null) ?? null;
const mainAnswer = () => shown.answer.pipelines[coloursBy(shown.answer)] ?? null;

function showReading() {
  const { text, answer, sentences } = shown;
  showText(text, answer.passages, mainAnswer(), sentences);
  if (sentences === null) return;
  const by = coloursBy(answer);
  const bars = answer.passages.length > 1 && by ? ` The bar beside each passage is ${by}'s score of it.` : "";
  view["reading-help"].textContent =
    "Colour and underline say how hard each sentence would be as a text of its own. Single sentences err more than " +
    `passages: compare them, and trust the passage.${bars}`;
}

function showTime({ pipelines, order }) {
  const drawn = setup.pipelines.filter((name) => !pipelines[name].error);
  const longest = Math.max(...drawn.map((name) => pipelines[name].chart.total_ms));
  const place = (name) => (order.indexOf(name) ? "asked second" : "asked first");
  view.time.hidden = !drawn.length;
  view.waterfalls.replaceChildren(...drawn.map((name) => waterfall(pipelines[name], name, place(name), longest)));
}

const motion = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");

function isInView(part) {
  const { top, bottom } = part.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
}

// Files

async function read(file) {
  if (file.size > setup.largest_file) {
    complain(new Refusal("", `${file.name} is too large: the page takes ${setup.largest_file / 2 ** 20} MiB at most.`));
    return;
  }
  showBusy(`Reading ${file.name} …`);
  try {
    const { text } = await ask(`api/text?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
    settle();
    view.text.value = text;
    changed();
    await submit();
  } catch (error) {
    showBusy("");
    if (!(error instanceof Refusal)) throw error;
    if (error.isOutage) markDown(error);
    else complain(error);
  }
}

// Events

function changed() {
  view.counts.textContent = several(view.text.value.match(/\S+/g)?.length ?? 0, "word");
  view.stale.hidden = shown === null || shown.text === view.text.value;
}

let pause = 0;
function play() {
  clearTimeout(pause);
  if (shown !== null && isUp) pause = setTimeout(submit, PAUSE_MS);
}

view.text.addEventListener("input", changed);
view.score.addEventListener("click", submit);
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
addEventListener("focus", look);

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
