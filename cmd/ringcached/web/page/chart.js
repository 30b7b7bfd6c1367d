// Lines over time and stacked columns, as SVG. Colours and dashes are style.css's, by the class of a series that is its look. A chart is a picture for
// those who see it: its figures stand in a table beside it, to which its description points.

const svgNS = "http://www.w3.org/2000/svg";
const looks = 8; // how many classes s0, s1, ... there are

// look is the class of the series with a number.
export function look(i) {
	return `s${i % looks}`;
}

const labelWide = 52; // what "−5 min" takes, with some room
const margin = { top: 10, right: 12, bottom: 28, left: 62 };

// shape makes an element of SVG.
function shape(name, attributes, text) {
	const e = document.createElementNS(svgNS, name);
	for (const [key, value] of Object.entries(attributes)) {
		e.setAttribute(key, value);
	}
	if (text !== undefined) {
		e.textContent = text;
	}
	return e;
}

// ceiling is where an axis ends on which max is the largest value. The half of it is round as well: sizes end at a power of 2, whole numbers at an
// even one, and others at 1, 2, 5 or 10 times a power of 10.
export function ceiling(max, kind = "fraction") {
	if (kind === "size") {
		return max > 1 ? 2 ** Math.ceil(Math.log2(max)) : 2;
	}
	if (!(max > 0)) {
		return kind === "whole" ? 2 : 1;
	}
	const unit = 10 ** Math.floor(Math.log10(max));
	const end = [1, 2, 5, 10].map((step) => step * unit).find((step) => step >= max * (1 - 1e-12));
	return kind === "whole" && end % 2 === 1 ? end + 1 : end;
}

// frame clears an svg, fits its coordinates to CSS pixels, and draws a vertical axis from 0 to top.
function frame(svg, top, format) {
	const wide = Math.max(svg.clientWidth, 240), high = Math.max(svg.clientHeight, 120);
	svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
	const box = { left: margin.left, right: wide - margin.right, top: margin.top, bottom: high - margin.bottom };
	const y = (value) => box.bottom - (Math.min(value, top) / top) * (box.bottom - box.top);
	const parts = [];
	for (const part of [0, 0.5, 1]) {
		const at = y(part * top);
		parts.push(shape("line", { class: "grid", x1: box.left, x2: box.right, y1: at, y2: at }));
		parts.push(shape("text", { class: "tick", x: box.left - 6, y: at + 4, "text-anchor": "end" }, format(part * top).replace(/\.0+(?!\d)/, "")));
	}
	return { box, y, parts };
}

// blank says in the middle of a chart why there is nothing to see.
function blank(box, text) {
	return shape("text", { class: "tick", x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 - 8, "text-anchor": "middle" }, text);
}

// spans are how long the time of a chart is, and how far its labels are apart, in milliseconds. As long as there is little to show it is short.
const spans = [[60_000, 15_000], [120_000, 30_000], [300_000, 60_000]];

// timeAxis is the shortest of the spans that has room for what is so old.
export function timeAxis(age) {
	return spans.find(([span]) => age <= span) ?? spans.at(-1);
}

// ago names a time before now.
function ago(ms) {
	return ms === 0 ? "now" : ms % 60_000 === 0 ? `−${ms / 60_000} min` : `−${ms / 1000} s`;
}

// path joins points that follow each other; a point without a value leaves a gap, and one between two gaps is a dot, as a line of no length has
// round ends.
export function path(points, x, y) {
	let drawn = "", open = false;
	points.forEach(([at, value]) => {
		if (value === null || value === undefined || !Number.isFinite(value)) {
			open = false;
			return;
		}
		const to = `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
		drawn += open ? `L${to}` : `M${to}L${to}`;
		open = true;
	});
	return drawn;
}

// drawLines draws series, [{look, points: [[at, value], ...]}], as they were before now. top, if given, is the end of the axis.
export function drawLines(svg, { series, now, format, kind, top }) {
	const points = series.flatMap((s) => s.points).filter((p) => Number.isFinite(p[1]));
	const { box, y, parts } = frame(svg, top ?? ceiling(Math.max(0, ...points.map((p) => p[1])), kind), format);
	const [span, apart] = timeAxis(now - Math.min(now, ...points.map((p) => p[0])));
	const x = (at) => box.right - ((now - at) / span) * (box.right - box.left);
	const labels = span / apart;
	const every = Math.ceil((labels * labelWide) / (box.right - box.left)); // label is shown: on a phone not each of them
	for (let i = 0; i <= labels; i += every) {
		const at = x(now - i * apart);
		parts.push(shape("text", { class: "tick", x: at, y: box.bottom + 20, "text-anchor": i === 0 ? "end" : "middle" }, ago(i * apart)));
	}
	series.forEach((s) => {
		const shown = s.points.filter((p) => p[0] >= now - span);
		parts.push(shape("path", { class: `line ${s.look}`, d: path(shown, x, y) }));
	});
	svg.replaceChildren(...parts, ...(points.length === 0 ? [blank(box, "nothing yet")] : []));
}

// drawColumns draws a column for each of the categories, [{label, values: [...]}], whose values stand on each other; each has one of the looks.
export function drawColumns(svg, { categories, looks, format, kind }) {
	const totals = categories.map((c) => c.values.reduce((a, b) => a + b, 0));
	const { box, y, parts } = frame(svg, ceiling(Math.max(0, ...totals), kind), format);
	const step = (box.right - box.left) / Math.max(categories.length, 1);
	const wide = Math.min(step * 0.8, 48);
	const letters = Math.max(0, ...categories.map((c) => c.label.length)) * 7 + 8;
	const every = Math.max(1, Math.ceil(letters / step)); // of the labels, so that none covers the next
	categories.forEach((c, i) => {
		const middle = box.left + (i + 0.5) * step;
		let below = 0;
		c.values.forEach((value, k) => {
			if (value > 0) {
				const from = y(below), to = y(below + value);
				const column = shape("rect", { class: `column ${looks[k]}`, x: middle - wide / 2, y: to, width: wide, height: Math.max(from - to, 0) });
				column.append(shape("title", {}, `${c.label}: ${format(value)}`)); // shown to a mouse that rests on it
				parts.push(column);
			}
			below += value;
		});
		if (i % every === 0 && middle + letters / 2 <= box.right + margin.right) {
			parts.push(shape("text", { class: "tick", x: middle, y: box.bottom + 20, "text-anchor": "middle" }, c.label));
		}
	});
	svg.replaceChildren(...parts, ...(totals.some((n) => n > 0) ? [] : [blank(box, "none")]));
}
