// The text, coloured by how hard its passages and sentences are.

import { byId, element } from "./elements.js";
import { bandName, bandsInWords, meaning, range, several } from "./words.js";

const HOW = "Point at a sentence, tap it, or go there with Tab and the arrow keys.";

const reading = byId("reading");
const readout = byId("readout");
let sentences = []; // those on display

export const legend = () =>
  bandsInWords().map(({ name, band, percentiles }) => {
    const sample = element("span", { class: "band", "data-band": band }, name);
    return element("li", {}, sample, " ", element("small", {}, percentiles));
  });

// `scored`: the answer that colours the passages, or null. `found`: the sentences with their scores, null before.
export function showText(text, passages, scored, found) {
  const characters = Array.from(text); // the server counts code points
  sentences = found ?? [];
  const parts = [];
  let at = 0;
  passages.forEach((passage, number) => {
    parts.push(gap(characters.slice(at, passage.start)));
    const own = scored?.passages[number] ?? null;
    parts.push(passagePart(characters, passage, own, titleOf(number, passages.length, scored)));
    at = passage.end;
  });
  parts.push(gap(characters.slice(at)));
  reading.replaceChildren(...parts.filter((each) => each !== null));
  reading.querySelector(".sentence")?.setAttribute("tabindex", "0");
  readout.textContent = sentences.length ? HOW : "";
}

// White space between passages is theirs to show; anything else there has no word, and so no score.
function gap(characters) {
  const text = characters.join("").trim();
  return text ? element("div", {}, text) : null;
}

const titleOf = (number, count, scored) => ({
  name: `Passage ${number + 1} of ${count}`,
  isShown: count > 1,
  isHardest: count > 1 && number === scored?.hardest,
});

function passagePart(characters, passage, own, title) {
  const name = [title.name, several(passage.words, "word"), ...(own ? meaning(own) : [])].join(" \u00b7 ");
  const made = element("div", { class: "passage", role: "group", "aria-label": name, "data-band": own?.band });
  if (title.isShown) {
    const mark = title.isHardest ? element("b", {}, " \u00b7 hardest") : null;
    made.append(element("p", { class: "passage-title", "aria-hidden": "true" }, name, mark));
  }
  let at = passage.start;
  sentences.forEach((sentence, number) => {
    if (sentence.start >= passage.end || sentence.end <= passage.start) return;
    const [start, end] = [Math.max(sentence.start, passage.start), Math.min(sentence.end, passage.end)];
    made.append(characters.slice(at, start).join(""));
    made.append(sentencePart(characters.slice(start, end).join(""), sentence, number));
    at = end;
  });
  made.append(characters.slice(at, passage.end).join(""));
  return made;
}

function sentencePart(text, sentence, number) {
  const words = bandName(sentence) ?? "no score";
  return element(
    "span",
    {
      class: "sentence", role: "option", tabindex: "-1", "aria-selected": "false",
      "data-band": sentence.band, "data-number": String(number),
    },
    text,
    element("span", { class: "hidden" }, ` (${words}) `),
  );
}

function readOut(part) {
  const number = Number(part.dataset.number);
  const sentence = sentences[number];
  const where = element("b", {}, `Sentence ${number + 1} of ${sentences.length}`);
  const interval = sentence.low === null ? [] : [`90 % interval ${range(sentence)}`];
  readout.replaceChildren(where, ` \u00b7 ${[...meaning(sentence), ...interval].join(" \u00b7 ")}`);
}

function select(part) {
  for (const other of reading.querySelectorAll('[tabindex="0"], [aria-selected="true"]')) {
    other.setAttribute("tabindex", "-1");
    other.setAttribute("aria-selected", "false");
  }
  part.setAttribute("tabindex", "0");
  part.setAttribute("aria-selected", "true");
  readOut(part);
}

function move(event) {
  const parts = [...reading.querySelectorAll(".sentence")];
  const at = parts.indexOf(document.activeElement);
  const [first, last] = [0, parts.length - 1];
  const [next, previous] = [Math.min(at + 1, last), Math.max(at - 1, first)];
  const to = { ArrowRight: next, ArrowDown: next, ArrowLeft: previous, ArrowUp: previous, Home: first, End: last };
  if (at < 0 || !(event.key in to)) return;
  event.preventDefault();
  parts[to[event.key]].focus();
}

reading.addEventListener("keydown", move);
reading.addEventListener("focusin", (event) => event.target.matches(".sentence") && select(event.target));
reading.addEventListener("click", (event) => event.target.closest(".sentence")?.focus());
reading.addEventListener("mouseover", (event) => {
  const part = event.target.closest(".sentence");
  if (part) readOut(part);
});
reading.addEventListener("mouseleave", () => {
  const selected = reading.querySelector('[aria-selected="true"]');
  if (selected) readOut(selected);
});
