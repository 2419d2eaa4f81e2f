// Elements of the document, made and found.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

// Attributes that are null, undefined or false are left out, as are children that are null.
const filled = (made, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((each) => each !== null));
  return made;
};

export const element = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);

// Places are in percent of the width, so that text keeps its size and nothing needs a style of its own.
export const svg = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);
