// Asking for stats.json, and whether an answer is one that the page can show.

const patience = 5000; // for an answer, in milliseconds

// AnswerError says in its message, to a person, why there is no answer.
export class AnswerError extends Error {}

// fields are the kinds of what the page reads at the top of an answer.
const fields = {
	started_ms: "number", elapsed_ms: "number", ready: "boolean", engine: "object",
	stats: "object", settings: "object", items: "object", slabs: "object", batch: "object",
	channels: "list", latency: "object",
};

function kind(value) {
	return Array.isArray(value) ? "list" : value === null ? "null" : typeof value;
}

// check finds an answer of another build than the page's, or of something else that listens there.
export function check(answer) {
	if (kind(answer) !== "object") {
		throw new AnswerError("the answer is not ringcached's");
	}
	for (const [name, want] of Object.entries(fields)) {
		if (kind(answer[name]) !== want) {
			throw new AnswerError(`the answer is of another version of ringcached, it lacks ${name}: reload this page`);
		}
	}
	if (kind(answer.latency.classes) !== "list" || kind(answer.latency.bounds_ns) !== "list") {
		throw new AnswerError("the answer is of another version of ringcached, in latency: reload this page");
	}
	if (answer.hot_keys !== null && kind(answer.hot_keys?.keys) !== "list") {
		throw new AnswerError("the answer is of another version of ringcached, in hot_keys: reload this page");
	}
	return answer;
}

// ask asks once. The address is relative to the page's, so that a proxy may serve it anywhere.
export async function ask() {
	let response;
	try {
		response = await fetch("stats.json", { cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(patience) });
	} catch {
		throw new AnswerError("the server does not answer");
	}
	if (!response.ok) {
		throw new AnswerError(`the server answers with status ${response.status}`);
	}
	try {
		return check(await response.json());
	} catch (err) {
		throw err instanceof AnswerError ? err : new AnswerError("the answer broke off or is not JSON");
	}
}
