// Requests to the server that the page came from.

// An answer that says why there is none.
export class Refusal extends Error {
  constructor(kind, message, requestId = "") {
    super(message);
    Object.assign(this, { kind, requestId });
  }

  static of = ({ kind, message, request_id }) => new Refusal(kind, message, request_id);

  // Whether a server is away, and the same request may succeed once it is back.
  get isOutage() {
    return ["PageGone", "ServerUnreachableError", "ModelUnavailableError"].includes(this.kind);
  }
}

const pageGone = () =>
  new Refusal("PageGone", "The program behind this page does not answer. Start `readability page` again.");

export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw pageGone();
  }
  const answer = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    if (response.ok) throw pageGone(); // the answer broke off
    return null;
  });
  if (response.ok) return answer;
  throw Refusal.of(answer?.error ?? { kind: "", message: `The page's server answers ${response.status}.` });
}

export const post = (path, fields, signal) =>
  ask(path, { method: "POST", body: JSON.stringify(fields), headers: { "content-type": "application/json" }, signal });
