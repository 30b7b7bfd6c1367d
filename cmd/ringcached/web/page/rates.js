// What two answers of stats.json say of the time between them. Nothing here knows the page: everything takes and returns plain values.

// COMMANDS are what requests are counted as. get has all ways to ask for an item, set all ways to store one.
export const COMMANDS = [
	{ name: "get", counts: ["cmd_get"], hits: ["get_hits"], misses: ["get_misses"] },
	{ name: "set", counts: ["cmd_set"] },
	{ name: "delete", counts: ["delete_hits", "delete_misses"], hits: ["delete_hits"], misses: ["delete_misses"] },
	{ name: "touch", counts: ["cmd_touch"], hits: ["touch_hits"], misses: ["touch_misses"] },
	{ name: "incr", counts: ["incr_hits", "incr_misses"], hits: ["incr_hits"], misses: ["incr_misses"] },
	{ name: "decr", counts: ["decr_hits", "decr_misses"], hits: ["decr_hits"], misses: ["decr_misses"] },
	{ name: "flush", counts: ["cmd_flush"] },
];

const numeric = /^\d+(\.\d+)?$/;

// sample takes the counts out of an answer that came at a time of the browser's clock, in milliseconds. Gauges are among them: nobody asks for
// their increase. It throws where the answer is not of the shape that this page knows.
export function sample(answer, at) {
	const counters = {}, lists = {};
	for (const [name, value] of Object.entries(answer.stats)) {
		if (numeric.test(value)) {
			counters[name] = Number(value);
		}
	}
	answer.channels.forEach((channel, i) => {
		for (const [name, value] of Object.entries(channel)) {
			(Array.isArray(value) ? lists : counters)[`channel ${i} ${name}`] = value;
		}
	});
	for (const c of answer.latency.classes) {
		lists[`latency ${c.name}`] = c.counts;
		counters[`latency ${c.name} samples`] = c.samples;
		counters[`latency ${c.name} sum`] = c.sum_ns;
	}
	if (!Number.isFinite(answer.started_ms) || !Number.isFinite(answer.elapsed_ms)) {
		throw new TypeError("started_ms and elapsed_ms are no numbers");
	}
	return { started: answer.started_ms, elapsed: answer.elapsed_ms, at, counters, lists };
}

// since is how much was counted from before to now. A count that is lower was reset, and began at 0.
function since(before, now) {
	return now < before ? now : now - (before ?? 0);
}

// increase is what happened between two samples; null if they are of different processes, or if no time passed.
export function increase(before, after) {
	if (!before || before.started !== after.started || after.elapsed <= before.elapsed) {
		return null;
	}
	const all = { ms: after.elapsed - before.elapsed, counters: {}, lists: {} };
	for (const [name, now] of Object.entries(after.counters)) {
		all.counters[name] = since(before.counters[name], now);
	}
	for (const [name, now] of Object.entries(after.lists)) {
		const old = before.lists[name] ?? [];
		const anew = old.some((n, i) => n > (now[i] ?? 0)); // one lower entry: the whole list was reset
		all.lists[name] = now.map((n, i) => (anew ? n : n - (old[i] ?? 0)));
	}
	return all;
}

// plus adds lists that may differ in length.
export function plus(a, b) {
	return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) + (b[i] ?? 0));
}

// together adds increases up; null if there is none.
export function together(increases) {
	let all = null;
	for (const one of increases) {
		if (!one) {
			continue;
		}
		all ??= { ms: 0, counters: {}, lists: {} };
		all.ms += one.ms;
		for (const [name, n] of Object.entries(one.counters)) {
			all.counters[name] = (all.counters[name] ?? 0) + n;
		}
		for (const [name, list] of Object.entries(one.lists)) {
			all.lists[name] = plus(all.lists[name] ?? [], list);
		}
	}
	return all;
}

// sum adds up counters by their names; null without an increase.
export function sum(increase, names) {
	return increase && names.reduce((n, name) => n + (increase.counters[name] ?? 0), 0);
}

// perSecond is how often what the names count happened in a second.
export function perSecond(increase, names) {
	return increase && (sum(increase, names) * 1000) / increase.ms;
}

// requests are all commands in a second.
export function requests(increase) {
	return perSecond(increase, COMMANDS.flatMap((c) => c.counts));
}

// share is a of a and b; null if there is neither.
export function share(a, b) {
	return a === null || b === null || a + b === 0 ? null : a / (a + b);
}

// hitRatio is the share of the gets that found an item.
export function hitRatio(increase) {
	return share(sum(increase, ["get_hits"]), sum(increase, ["get_misses"]));
}

// quantile is the upper bound of the bucket that has the value which a share q of all values do not exceed: Infinity for the bucket beyond the last
// bound, null without values.
export function quantile(counts, bounds, q) {
	const total = (counts ?? []).reduce((n, c) => n + c, 0);
	if (total === 0) {
		return null;
	}
	let rank = Math.max(1, Math.ceil(q * total - 1e-9)); // 0.99 of 100 values is the 99th, whatever floating point makes of it
	for (let i = 0; i < counts.length; i++) {
		rank -= counts[i];
		if (rank <= 0) {
			return bounds[i] ?? Infinity;
		}
	}
	return Infinity;
}

// MINUTE is the window of tables, in milliseconds.
export const MINUTE = 60_000;

// patience is how many answers of a process that began earlier are passed over: while a hand-over runs, a kept connection may still lead to the old
// process. After that many, the machine's clock went back.
const patience = 5;

// unseen is how long, in milliseconds, a time between two answers is that nobody has looked at: the page was paused or hidden, or the server was away. What
// happened then is not shown, as it would count as what happened just now.
const unseen = MINUTE / 2;

// History keeps the increases of the last span milliseconds.
export class History {
	constructor(span) {
		this.span = span;
		this.points = []; // {at, increase}: increase is null where a process began, or nobody looked
		this.last = null;
		this.older = 0;
	}

	// add takes the next sample and says what it is: "first", "next", "another" process's first, or "ignored".
	add(next) {
		const last = this.last;
		if (last && next.started < last.started && ++this.older < patience) {
			return "ignored";
		}
		if (last && next.started === last.started && next.elapsed <= last.elapsed) {
			return "ignored";
		}
		this.older = 0;
		this.last = next;
		const seen = increase(last, next);
		this.points.push({ at: next.at, increase: seen && seen.ms < unseen ? seen : null });
		while (this.points[0].at < next.at - this.span) {
			this.points.shift();
		}
		return !last ? "first" : last.started === next.started ? "next" : "another";
	}

	// recent is what happened in the last ms milliseconds, as far as the present process was seen without a break.
	recent(ms) {
		const from = this.last.at - ms;
		const own = this.points.slice(this.points.findLastIndex((p) => p.increase === null) + 1);
		return together(own.filter((p) => p.at > from).map((p) => p.increase));
	}

	// now is what happened between the last two answers.
	get now() {
		return this.points.at(-1)?.increase ?? null;
	}

	// series are [at, value] of every point, for a chart; value is null where a line has a gap.
	series(value) {
		return this.points.map((p) => [p.at, p.increase && value(p.increase)]);
	}
}
