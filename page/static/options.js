// Policy and weight.

import { byId, element } from "./elements.js";
import { figure } from "./words.js";

const USUAL = "guard"; // says what is doubtful about a text

const [policy, policyHelp, settings] = ["policy", "policy-help", "settings"].map(byId);
const [weight, weightHelp, asFitted] = ["weight", "weight-help", "fitted"].map(byId);

let policies = [];
let fitted = null; // the weight learned in training
let chosen = null; // the weight to ask for; null: as fitted

// `onChange` is called when one of them changes.
export function offerPolicies(offered, onChange) {
  policies = offered;
  policy.append(...policies.map(({ name }) => element("option", {}, name)));
  policy.value = (policies.find(({ name }) => name === USUAL) ?? policies[0]).name;
  showPolicy();
  policy.addEventListener("change", () => (showPolicy(), onChange()));
  settings.addEventListener("change", onChange);
  weight.addEventListener("input", () => ((chosen = Number(weight.value)), showWeight()));
  weight.addEventListener("change", onChange);
  asFitted.addEventListener("click", () => {
    chosen = null;
    weight.value = fitted;
    showWeight();
    weight.focus();
    onChange();
  });
}

export function useFittedWeight(known) {
  fitted = known;
  if (chosen === null && fitted !== null) weight.value = fitted;
  showWeight();
}

export const chosenOptions = () => ({ weight: chosen, policy: policy.value, settings: chosenSettings() });

function chosenSettings() {
  const fields = [...settings.querySelectorAll("[name]")];
  const changed = fields.filter(({ value, dataset }) => value !== "" && value !== dataset.usual);
  return Object.fromEntries(changed.map(({ name, type, value }) => [name, type === "number" ? Number(value) : value]));
}

function showWeight() {
  const encoder = Number(weight.value);
  const isFitted = chosen === null || chosen === fitted;
  const shares = `${figure(encoder)} encoder, ${figure(1 - encoder)} forest`;
  weightHelp.textContent = isFitted ? `${shares}: as fitted in training` : `${shares}: no interval or level`;
  weight.setAttribute("aria-valuetext", shares);
  asFitted.hidden = isFitted;
}

function showPolicy() {
  const { description, settings: offered } = policies.find(({ name }) => name === policy.value);
  policyHelp.textContent = description.replaceAll("`", "");
  settings.hidden = !offered.length;
  settings.replaceChildren(...offered.map(settingField));
}

function settingField({ name, default: usual, choices }) {
  const id = `setting-${name}`;
  const attributes = { id, name, "data-usual": String(usual) };
  const field = choices.length
    ? element("select", attributes, ...choices.map((each) => element("option", { selected: each === usual }, each)))
    : typeof usual === "number"
      ? element("input", { ...attributes, type: "number", min: 0, step: "any", value: usual })
      : element("input", { ...attributes, type: "text", value: usual, spellcheck: "false", autocomplete: "off" });
  return element("div", {}, element("label", { for: id }, name), field);
}
