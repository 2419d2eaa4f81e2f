// Scores and numbers in words.

let bands = [];

// `offered`: name and least percentile of each band, from the hardest on.
export const useBands = (offered) => (bands = offered);

export const figure = (value, digits = 2) =>
  value === null ? "none" : value.toFixed(digits).replace("-", "\u2212").replace(/^\u2212(0\.?0*)$/, "$1");
export const percent = (percentile) => `${Math.round(percentile)} %`;
// Of a sentence; names, such as `a.docx`, stay as they are.
export const capital = (words) =>
  words.replace(/^[a-z]+(?=[ :,]|$)/, (first) => first[0].toUpperCase() + first.slice(1));
export const several = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
export const range = ({ low, high }) => `${figure(low)} to ${figure(high)}`;
export const bandName = ({ band }) => (band === null ? null : bands[band].name);

export const milliseconds = (value) =>
  `${value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(value >= 10 ? 1 : 2)} ms`;

// What a score means, shortest first.
export function meaning(scored) {
  if (scored.score === null) return [scored.refused ? "refused" : "no score"];
  return [
    bandName(scored),
    `score ${figure(scored.score)}`,
    scored.percentile === null ? null : `easier than ${percent(scored.percentile)}`,
    scored.level && `CEFR ${scored.level}`,
    scored.degraded ? "degraded" : null,
  ].filter(Boolean);
}

export const bandsInWords = () =>
  bands.map(({ name, least }, band) => {
    const most = bands[band + 1]?.least ?? 100;
    return { name, band, percentiles: `easier than ${least} to ${most} %` };
  });
