// What the page's modules compute, without a browser: run by Node's own runner in a directory that also has the page's files.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { check } from "./answer.js";
import { ceiling, path, timeAxis } from "./chart.js";
import * as format from "./format.js";
import * as rates from "./rates.js";

const recorded = () => JSON.parse(readFileSync(new URL("stats.json", import.meta.url)));

// later is the recorded answer after ms milliseconds, with lines of `stats` added to.
function later(ms, added = {}, change = () => {}) {
	const answer = recorded();
	answer.elapsed_ms += ms;
	for (const [name, n] of Object.entries(added)) {
		answer.stats[name] = String(Number(answer.stats[name]) + n);
	}
	change(answer);
	return answer;
}

const sampled = (answer, at = answer.elapsed_ms) => rates.sample(answer, at);

test("rates are of the server's time, whenever the answers came", () => {
	const i = rates.increase(sampled(recorded(), 0), sampled(later(4000, { cmd_get: 1000, get_hits: 750, get_misses: 250, cmd_set: 20 }), 17));
	assert.equal(rates.perSecond(i, ["cmd_get"]), 250);
	assert.equal(rates.requests(i), 255);
	assert.equal(rates.hitRatio(i), 0.75);
	assert.equal(rates.sum(i, ["cmd_touch"]), 0);
});

test("a hit ratio without gets is none", () => {
	assert.equal(rates.hitRatio(rates.increase(sampled(recorded()), sampled(later(2000)))), null);
	assert.equal(rates.hitRatio(null), null);
});

test("a count that was reset began at 0", () => {
	const i = rates.increase(sampled(recorded()), sampled(later(2000, {}, (a) => { a.stats.cmd_get = "30"; })));
	assert.equal(rates.sum(i, ["cmd_get"]), 30);
	assert.equal(rates.sum(i, ["cmd_set"]), 0);
});

test("a list is reset as a whole", () => {
	const before = later(0, {}, (a) => { a.channels[0].bytes_per_send = [5, 9, 2]; });
	const grown = later(2000, {}, (a) => { a.channels[0].bytes_per_send = [5, 10, 2, 4]; });
	const anew = later(2000, {}, (a) => { a.channels[0].bytes_per_send = [6, 1]; });
	const name = "channel 0 bytes_per_send";
	assert.deepEqual(rates.increase(sampled(before), sampled(grown)).lists[name], [0, 1, 0, 4]);
	assert.deepEqual(rates.increase(sampled(before), sampled(anew)).lists[name], [6, 1]);
});

test("nothing is computed between two processes, nor without time", () => {
	const other = later(100, { cmd_get: 5 }, (a) => { a.started_ms += 60_000; });
	assert.equal(rates.increase(sampled(recorded()), sampled(other)), null);
	assert.equal(rates.increase(sampled(recorded()), sampled(recorded())), null);
});

test("the history tells a restart, and passes over what the process before still says", () => {
	const h = new rates.History(300_000);
	const next = (ms) => later(ms, {}, (a) => { a.started_ms += 3_600_000; a.stats.cmd_get = "7"; });
	assert.equal(h.add(sampled(later(0), 0)), "first");
	assert.equal(h.now, null);
	assert.equal(h.add(sampled(later(2000, { cmd_get: 10 }), 2000)), "next");
	assert.equal(h.add(sampled(later(2000, { cmd_get: 10 }), 2500)), "ignored");
	assert.equal(h.add(sampled(next(50), 4000)), "another");
	assert.equal(h.now, null);
	assert.equal(h.recent(60_000), null);
	assert.equal(h.add(sampled(later(4000, { cmd_get: 20 }), 5000)), "ignored");
	assert.equal(h.add(sampled(next(2050), 6000)), "next");
	assert.equal(h.recent(60_000).ms, 2000);
	assert.deepEqual(h.series((i) => rates.sum(i, ["cmd_get"])), [[0, null], [2000, 10], [4000, null], [6000, 0]]);
});

test("a process that began earlier is believed after some answers: a clock went back", () => {
	const h = new rates.History(300_000);
	h.add(sampled(later(0, {}, (a) => { a.started_ms += 3_600_000; }), 0));
	const said = Array.from({ length: 5 }, (_, i) => h.add(sampled(later(2000 * i), 2000 * (i + 1))));
	assert.deepEqual(said, ["ignored", "ignored", "ignored", "ignored", "another"]);
});

test("the last minute is a minute, and the history no longer than its span", () => {
	const h = new rates.History(100_000);
	for (let s = 0; s <= 200; s += 2) {
		h.add(sampled(later(s * 1000, { cmd_get: s }), s * 1000));
	}
	assert.equal(h.recent(60_000).ms, 60_000);
	assert.equal(rates.sum(h.recent(60_000), ["cmd_get"]), 60);
	assert.equal(h.points.length, 51);
});

test("what happened while nobody looked is not of the last minute", () => {
	const h = new rates.History(300_000);
	const added = [0, 10, 5000, 5007].map((n, i) => [[0, 2000, 90_000, 92_000][i], n]);
	for (const [ms, n] of added) {
		h.add(sampled(later(ms, { cmd_get: n }), ms));
	}
	assert.equal(rates.sum(h.recent(60_000), ["cmd_get"]), 7);
	assert.deepEqual(h.series((i) => rates.sum(i, ["cmd_get"])).map((p) => p[1]), [null, 10, null, 7]);
});

test("the axis of time is as long as what there is to show, and five minutes at most", () => {
	assert.deepEqual([0, 60_000, 60_001, 120_000, 299_000, 900_000].map((age) => timeAxis(age)[0]), [60_000, 60_000, 120_000, 120_000, 300_000, 300_000]);
});

test("quantiles are upper bounds", () => {
	const bounds = [10, 20, 40];
	assert.equal(rates.quantile([1, 0, 99], bounds, 0.5), 40);
	assert.equal(rates.quantile([1, 0, 99], bounds, 0.01), 10);
	assert.equal(rates.quantile([99, 1], bounds, 0.99), 10);
	assert.equal(rates.quantile([99, 1], bounds, 0.999), 20);
	assert.equal(rates.quantile([0, 0, 0, 1], bounds, 0.5), Infinity);
	assert.equal(rates.quantile([], bounds, 0.5), null);
	assert.equal(rates.quantile(undefined, bounds, 0.5), null);
});

test("every command counts lines that the server has", () => {
	const { stats } = recorded();
	for (const c of rates.COMMANDS) {
		for (const name of [...c.counts, ...(c.hits ?? []), ...(c.misses ?? [])]) {
			assert.match(stats[name] ?? "", /^\d+$/, name);
		}
	}
});

test("numbers as people read them", () => {
	for (const [got, want] of [
		[format.count("18446744073709551615"), "18,446,744,073,709,551,615"], [format.count(1234567), "1,234,567"], [format.count("0"), "0"],
		[format.count(undefined), "–"], [format.count(null), "–"], [format.count("none"), "–"],
		[format.rate(0), "0"], [format.rate(0.5), "0.50"], [format.rate(12.34), "12.3"], [format.rate(98765.4), "98,765"], [format.rate(1234567), "1.23 M"],
		[format.brief(7), "7"], [format.brief(50_000), "50,000"], [format.brief(5e9), "5.00 G"], [format.rate(null), "–"], [format.rate(NaN), "–"],
		[format.bytes("0"), "0 B"], [format.bytes(1023), "1,023 B"], [format.bytes(1024), "1.00 KiB"], [format.bytes("67108864"), "64.0 MiB"],
		[format.bytes(undefined), "–"], [format.perSecond(1536), "1.50 KiB/s"], [format.perSecond(null), "–"],
		[format.percent(0.9996), "99.96 %"], [format.percent(null), "–"],
		[format.time(620), "620 ns"], [format.time(1500), "1.50 µs"], [format.time(12_345_678), "12.3 ms"], [format.time(Infinity, 2e9), "> 2.00 s"], [format.time(null), "–"],
		[format.duration("0"), "0 s"], [format.duration(59), "59 s"], [format.duration(3600), "1 h 0 min"], [format.duration(90_061), "1 d 1 h"], [format.duration(""), "–"],
		[format.ratio(0.123), "0.12"], [format.ratio(31.46), "31.5"], [format.ratio(null), "–"],
	]) {
		assert.equal(got, want);
	}
});

test("an axis ends at a round number that is not below", () => {
	for (const [max, kind, want] of [
		[0, "fraction", 1], [NaN, "fraction", 1], [1, "fraction", 1], [1.01, "fraction", 2], [2.1, "fraction", 5], [7, "fraction", 10], [99, "fraction", 100],
		[0.03, "fraction", 0.05], [0, "whole", 2], [1, "whole", 2], [3, "whole", 6], [7, "whole", 10], [30, "whole", 50],
		[0, "size", 2], [1024, "size", 1024], [1025, "size", 2048], [100_000, "size", 131_072],
	]) {
		assert.ok(Math.abs(ceiling(max, kind) - want) < 1e-9 * want, `${max} ${kind}: ${ceiling(max, kind)}`);
	}
});

test("a line has gaps where there is no value, and a dot between two of them", () => {
	const same = (n) => n;
	assert.equal(path([[0, 1], [1, 2], [2, null], [3, 4], [4, Infinity]], same, same), "M0.0 1.0L0.0 1.0L1.0 2.0M3.0 4.0L3.0 4.0");
	assert.equal(path([], same, same), "");
});

test("an answer of another shape is told, and which part of it", () => {
	assert.equal(check(recorded()).ready, true);
	for (const wrong of [null, [], "x", 3]) {
		assert.throws(() => check(wrong), /not ringcached's/);
	}
	for (const name of Object.keys(recorded())) {
		const answer = recorded();
		delete answer[name];
		assert.throws(() => check(answer), new RegExp(name));
	}
	assert.equal(check({ ...recorded(), hot_keys: null }).hot_keys, null);
});
