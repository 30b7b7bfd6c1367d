// The page asks for stats.json again and again, and shows what the answers say.

import { ask, AnswerError } from "./answer.js";
import { drawColumns, drawLines, look } from "./chart.js";
import { brief, bytes, count, duration, percent, perSecond, rate, ratio, time } from "./format.js";
import * as rates from "./rates.js";
import { at, legend, pairs, rows, set, show } from "./view.js";

const period = 2000; // between an answer and the next question, in milliseconds
const span = 5 * 60_000; // what charts show, at most

const history = new rates.History(span);
let answer = null; // the last one
let answered = 0; // when it came, by performance.now()
let answeredAt = ""; // and by the clock on the wall
let paused = false;
let asking = false;
let timer = 0;

// number is a line of a group as a number; a line that is not there is 0.
function number(lines, name) {
	return Number(lines[name] ?? 0);
}

// quantiles of a class of latency in an increase, or, without one, null.
function quantile(increase, name, q) {
	return increase && rates.quantile(increase.lists[`latency ${name}`], answer.latency.bounds_ns, q);
}

function showHead() {
	const s = answer.stats;
	set(at("version"), s.ringcached_version ?? s.version ?? "");
	set(at("engine"), `Engine ${answer.engine.name}: ${answer.engine.why}`);
}

function showNow(now, minute) {
	const s = answer.stats;
	pairs(at("tiles"), [
		["requests per second", rate(rates.requests(now))],
		["hit ratio", percent(rates.hitRatio(now))],
		["99 % of gets within", time(quantile(minute, "get", 0.99), answer.latency.bounds_ns.at(-1))],
		["items", count(s.curr_items)],
		["memory in use", bytes(s.bytes), bytes(s.limit_maxbytes)],
		["connections", count(s.curr_connections), count(s.max_connections)],
		["evictions per second", rate(rates.perSecond(now, ["evictions"]))],
		["read", perSecond(rates.perSecond(now, ["bytes_read"]))],
		["written", perSecond(rates.perSecond(now, ["bytes_written"]))],
		["processors busy", ratio(rates.perSecond(now, ["rusage_user", "rusage_system"]))],
		["running for", duration(s.uptime)],
	]);
}

function showCommands(now, minute) {
	const s = answer.stats;
	const total = (names) => (names ? names.reduce((n, name) => n + number(s, name), 0) : null);
	rows(at("commands-table"), rates.COMMANDS.map((c) => [
		c.name,
		rate(rates.perSecond(now, c.counts)),
		count(rates.sum(minute, c.counts)),
		c.hits ? percent(rates.share(rates.sum(minute, c.hits), rates.sum(minute, c.misses))) : "",
		count(total(c.counts)),
		c.hits ? percent(rates.share(total(c.hits), total(c.misses))) : "",
	]));
	const shown = rates.COMMANDS.filter((c) => total(c.counts) > 0);
	const series = shown.map((c) => ({ look: look(rates.COMMANDS.indexOf(c)), points: history.series((i) => rates.perSecond(i, c.counts)) }));
	drawLines(at("commands-chart"), { series, now: answered, format: rate });
	legend(at("commands-legend"), shown.map((c) => [c.name, rate(rates.perSecond(now, c.counts)), look(rates.COMMANDS.indexOf(c))]), "stroke");
}

function showHits(minute) {
	const s = answer.stats;
	drawLines(at("hits-chart"), { series: [{ look: look(0), points: history.series(rates.hitRatio) }], now: answered, format: percent, top: 1 });
	pairs(at("hits-list"), [
		["in the last minute", percent(rates.hitRatio(minute))],
		["in all", percent(rates.share(number(s, "get_hits"), number(s, "get_misses")))],
		["hits", count(s.get_hits)],
		["misses", count(s.get_misses)],
		["evicted", count(s.evictions)],
		["evicted without a get", count(s.evicted_unfetched)],
		["expired without a get", count(s.expired_unfetched)],
		["no memory for an item", count(s.store_no_memory)],
	]);
}

function showLatency(minute) {
	const { classes, bounds_ns: bounds } = answer.latency;
	const written = (ns) => time(ns, bounds.at(-1));
	const timed = (c) => rates.sum(minute, [`latency ${c.name} samples`]);
	rows(at("latency-table"), classes.map((c) => [
		c.name,
		count(timed(c)),
		timed(c) > 0 ? time(rates.sum(minute, [`latency ${c.name} sum`]) / timed(c)) : time(null),
		...[0.5, 0.9, 0.99, 0.999].map((q) => written(quantile(minute, c.name, q))),
		count(c.samples),
	]));
	const shown = classes.filter((c) => c.samples > 0);
	const series = shown.map((c) => ({ look: look(classes.indexOf(c)), points: history.series((i) => quantile(i, c.name, 0.99)) }));
	drawLines(at("latency-chart"), { series, now: answered, format: time });
	legend(at("latency-legend"), shown.map((c) => [c.name, written(quantile(minute, c.name, 0.99)), look(classes.indexOf(c))]), "stroke");
}

// slabClasses are the classes that have pages, by their number. Those without items are not in `stats items`.
function slabClasses() {
	const numbers = Object.keys(answer.slabs).map((name) => /^(\d+):chunk_size$/.exec(name)?.[1]).filter(Boolean).map(Number).sort((a, b) => a - b);
	return numbers.map((n) => ({ n, slab: (name) => answer.slabs[`${n}:${name}`] ?? "0", item: (name) => answer.items[`items:${n}:${name}`] ?? "0" }));
}

function showMemory() {
	const s = answer.stats, held = answer.batch.client_memory_bytes, classes = slabClasses();
	pairs(at("memory-list"), [
		["items", bytes(s.bytes), bytes(s.limit_maxbytes)],
		["share of the limit", percent(number(s, "bytes") / number(s, "limit_maxbytes"))],
		["slab pages", bytes(answer.slabs.total_malloced)],
		["mapped for items", bytes(s.mapped_items_bytes)],
		["index", bytes(s.mapped_index_bytes)],
		["heap of the program", bytes(s.heap_bytes)],
		["held for clients", bytes(held), number(answer.batch, "client_memory_limit") > 0 ? bytes(answer.batch.client_memory_limit) : undefined],
	]);
	rows(at("memory-table"), classes.map((c) => [
		c.n, bytes(c.slab("chunk_size")), count(c.slab("total_pages")), count(c.item("number")), count(c.slab("used_chunks")), count(c.slab("free_chunks")),
		bytes(c.item("mem_requested")), bytes(c.slab("mem_wasted")), count(c.slab("get_hits")), count(c.item("evicted")), duration(c.item("age")),
	]));
	const categories = classes.map((c) => ({
		label: bytes(c.slab("chunk_size")),
		values: [Number(c.item("mem_requested")), Number(c.slab("mem_wasted")), Number(c.slab("free_chunks")) * Number(c.slab("chunk_size"))],
	}));
	drawColumns(at("memory-chart"), { categories, looks: ["s0", "s1", "rest"], format: bytes, kind: "size" });
	const all = (i) => bytes(categories.reduce((n, c) => n + c.values[i], 0));
	legend(at("memory-legend"), [["items", all(0), "s0"], ["wasted: the rest of their chunks", all(1), "s1"], ["free chunks", all(2), "rest"]], "square");
}

function showConnections(now) {
	const of = (i, name) => rates.perSecond(now, [`channel ${i} ${name}`]);
	rows(at("connections-table"), answer.channels.map((c, i) => [
		i, count(c.connections), count(c.parked), count(c.accepted), perSecond(of(i, "bytes_read")), perSecond(of(i, "bytes_written")),
		rate(of(i, "syscalls")), rate(of(i, "batches")), count(c.no_buffers), bytes(c.send_queue_bytes), bytes(c.input_buffer_bytes),
	]));
	const categories = answer.channels.map((c, i) => ({ label: String(i), values: [c.connections - c.parked, c.parked] }));
	drawColumns(at("connections-chart"), { categories, looks: ["s0", "rest"], format: brief, kind: "whole" });
	const all = (i) => count(categories.reduce((n, c) => n + c.values[i], 0));
	legend(at("connections-legend"), [["active", all(0), "s0"], ["parked", all(1), "rest"]], "square");
}

// histogram shows the columns from the first to the last that is not empty.
function histogram(name, what, label) {
	const counts = answer.channels.reduce((all, c) => rates.plus(all, c[what]), []);
	const last = counts.findLastIndex((n) => n > 0), first = counts.findIndex((n) => n > 0);
	const columns = counts.map((n, i) => ({ label: i === counts.length - 1 ? "more" : label(2 ** i), values: [n] })).slice(Math.max(first, 0), last + 1);
	drawColumns(at(`${name}-chart`), { categories: columns, looks: ["s0"], format: brief, kind: "whole" });
	rows(at(`${name}-table`), columns.map((c) => [c.label, count(c.values[0])]));
}

function showBatching(now) {
	const every = (what) => answer.channels.map((_, i) => `channel ${i} ${what}`);
	const per = (a, b) => {
		const divisor = rates.sum(now, b);
		return divisor ? rates.sum(now, a) / divisor : null;
	};
	const commands = rates.COMMANDS.flatMap((c) => c.counts);
	pairs(at("batching-list"), [
		["requests per system call", ratio(per(commands, every("syscalls")))],
		["requests per batch", ratio(per(commands, every("batches")))],
		["completions per batch", ratio(per(every("completions"), every("batches")))],
		["bytes per send", bytes(per(every("bytes_written"), every("sends")))],
		["system calls per second", rate(rates.perSecond(now, every("syscalls")))],
		["receives without a buffer", count(answer.batch.enobufs)],
	]);
	histogram("completions", "completions_per_batch", count);
	histogram("sends", "bytes_per_send", bytes);
}

// spelled is a key as text. One that is no text, has characters that show nothing or turn the line around, or looks as if it were encoded itself, stays
// percent-encoded, so that no two keys look alike for that.
function spelled(name) {
	try {
		const text = decodeURIComponent(name);
		return /[\p{C}\p{Z}]|%[0-9A-F]{2}/iu.test(text) ? name : text;
	} catch {
		return name;
	}
}

// hotNote says where the hot keys come from, or why there are none.
function hotNote(hot) {
	if (!hot) {
		return "The server does not look for them: --hot-keys was not given.";
	}
	if (hot.refused) {
		return "The server does not show them: -X, which refuses dumps of keys, was given.";
	}
	const found = hot.keys.length > 0 ? `Estimated from a sample of the uses of all keys in ${duration(hot.seconds)}, the hottest first.` : "No key was used often enough yet.";
	return hot.names ? found : `${found} The keys themselves are shown with --metrics-keys only.`;
}

function showHotKeys() {
	const hot = answer.hot_keys, keys = hot?.keys ?? [];
	set(at("hot-note"), hotNote(hot));
	show(at("hot-wide"), keys.length > 0);
	rows(at("hot-table"), keys.map((k, i) => [
		hot.names ? spelled(k.name) : `no. ${i + 1}`,
		count(k.count), rate(hot.seconds > 0 ? k.count / hot.seconds : null), percent(hot.uses > 0 ? k.count / hot.uses : null), count(k.error),
	]));
}

function showLines() {
	set(at("features"), answer.engine.features ? `Features of the engine in use: ${answer.engine.features.replaceAll(",", ", ")}.` : "");
	const sorted = (lines) => Object.entries(lines).sort(([a], [b]) => (a < b ? -1 : 1));
	pairs(at("settings-list"), sorted(answer.settings));
	pairs(at("stats-list"), sorted(answer.stats));
	pairs(at("batch-list"), sorted(answer.batch));
}

// render shows the last answer.
function render() {
	if (!answer) {
		return;
	}
	show(at("figures"), true); // not before: what is below would be pushed down
	show(at("footer"), true);
	const now = history.now, minute = history.recent(rates.MINUTE);
	showHead();
	showNow(now, minute);
	showCommands(now, minute);
	showHits(minute);
	showLatency(minute);
	showMemory();
	showConnections(now);
	showBatching(now);
	showHotKeys();
	showLines();
}

// state says in a word how things are. Screen readers say it when it changes, and only then.
function state(name, text) {
	const element = at("state");
	if (element.className !== name) {
		element.className = name;
	}
	set(element, text);
	const place = `ringcached at ${location.host}`;
	document.title = name === "ready" ? place : `${name}: ${place}`; // also where the page is one of many tabs
}

// take shows a new answer, and says what about it is not as before.
function take(next) {
	const came = performance.now(), clock = new Date().toLocaleTimeString(), before = answer;
	const kind = history.add(rates.sample(next, came));
	if (kind === "ignored") {
		return;
	}
	answer = next;
	answered = came;
	answeredAt = clock;
	if (kind === "another") {
		const anew = next.stats.ringcached_version !== before.stats.ringcached_version ? ` It is version ${next.stats.ringcached_version}: reload this page.` : "";
		set(at("notice"), `Since ${clock} another process answers, after a restart or a hand-over; its counts began at 0.${anew}`);
	}
	document.documentElement.dataset.answer = `${next.started_ms} ${next.elapsed_ms}`; // the one that is shown, for a test to wait for
	if (!paused) {
		state(next.ready ? "ready" : "draining", next.ready ? "serving" : "draining: not ready for new clients");
	}
	render();
}

async function poll() {
	if (asking) {
		return; // that one goes on
	}
	clearTimeout(timer);
	asking = true;
	try {
		take(await ask());
	} catch (err) {
		if (!(err instanceof AnswerError)) {
			console.error(err);
		}
		state("silent", answer ? `${err.message}; the figures are the last known, of ${answeredAt}` : err.message);
	}
	asking = false;
	if (!paused && !document.hidden) {
		timer = setTimeout(poll, period);
	}
}

at("pause").addEventListener("click", () => {
	paused = !paused;
	at("pause").setAttribute("aria-pressed", String(paused));
	if (paused) {
		clearTimeout(timer);
		state("paused", "paused");
	} else {
		poll();
	}
});
document.addEventListener("visibilitychange", () => document.hidden || paused || poll());
addEventListener("resize", render);
poll();
