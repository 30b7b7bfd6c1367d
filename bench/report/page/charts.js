// Draws the page's figures with Observable Plot from the JSON that the page carries. Without it the tables say the same.
(() => {
	const charts = JSON.parse(document.getElementById("charts").textContent);
	const size = 11; // of letters, in CSS pixels
	const pen = document.createElement("canvas").getContext("2d");
	pen.font = size + "px " + getComputedStyle(document.body).fontFamily;
	const wide = text => pen.measureText(text).width;
	const number = v => v === 0 ? "0" : Math.abs(v) >= 9999.5 || Math.abs(v) < 0.001 ? d3.format(".3~s")(v) : d3.format(".3~r")(v);
	const longest = texts => Math.max(0, ...texts.map(wide));
	const cut = (text, width) => { // in the middle: names begin and end with what tells them apart
		let short = text;
		for (let n = text.length - 1; n > 3 && wide(short) > width; n--) short = text.slice(0, Math.floor(n / 2)) + "…" + text.slice(text.length - Math.ceil(n / 2));
		return short;
	};

	// series are colours and markers of the names, the same in the whole page.
	const colour = { domain: charts.series, range: charts.series.map((_, i) => `var(--c${i % 10})`) };
	const symbol = { domain: charts.series, range: charts.series.map((_, i) => ["circle", "square", "triangle", "diamond", "cross", "wye", "star"][i % 7]) };

	// extent is the axis of values: logarithmic where they differ much, with room for the intervals.
	function extent(points, log) {
		const [low, high] = d3.extent(points.flatMap(p => [p.v, p.low, p.high]).filter(v => v > 0));
		log = log || high > 4 * low;
		if (log) return { type: "log", base: 2, domain: [low / 1.15, high * 1.15], tickFormat: number, ticks: ticks(low / 1.15, high * 1.15) };
		return { domain: [0, high * 1.06], tickFormat: number, ticks: 5 };
	}
	function ticks(low, high) {
		const powers = [];
		for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) for (const m of [1, 2, 5]) powers.push(m * 10 ** e);
		const inside = powers.filter(v => v >= low && v <= high);
		if (inside.length > 9) return inside.filter(v => /^1(e|0*$)|^0\.0*1$/.test(String(v)));
		return inside.length > 1 ? inside : d3.ticks(low, high, 4);
	}

	// along draws a line for each server along the points of the axis.
	function along(c, width) {
		const room = longest(c.at) * c.at.length > width - 70;
		const value = extent(c.points);
		const title = p => `${p.series}, ${p.at}: ${p.text}`;
		return {
			width, height: 250, marginLeft: 52, marginRight: 14, marginBottom: 44, marginTop: 22,
			x: { type: "point", domain: c.at, label: c.axis, labelAnchor: "center", labelArrow: "none", padding: 0.3,
				tickFormat: (t, i) => room && i % Math.ceil(longest(c.at) * c.at.length / (width - 70)) ? "" : t },
			y: { ...value, label: c.unit, labelArrow: "none", grid: true }, color: colour, symbol,
			marks: [
				Plot.ruleX(c.points.filter(p => p.high !== undefined), { x: "at", y1: "low", y2: "high", stroke: "series", strokeWidth: 1.6, className: "interval" }),
				Plot.line(c.points, { x: "at", y: "v", z: "series", stroke: "series", strokeWidth: 1.6 }),
				Plot.dot(c.points, { x: "at", y: "v", fill: "series", symbol: "series", r: 3.6, title, className: "mark" }),
			],
		};
	}

	// rows draws a row for each server at each place: where places have names, or are too many for one axis below.
	function rows(c, width) {
		const left = Math.min(longest(c.at) + 14, width * 0.36);
		const servers = charts.series.filter(s => c.points.some(p => p.series === s));
		const value = extent(c.points), step = servers.length * 9 + 8;
		return {
			width, height: c.at.length * step + 64, marginLeft: left, marginRight: 16, marginTop: 4, marginBottom: 44,
			x: { ...value, ticks: width < 420 && Array.isArray(value.ticks) ? value.ticks.filter((_, i) => i % 2 === 0) : value.ticks, label: c.unit, labelAnchor: "center", labelArrow: "none", grid: true },
			y: { type: "point", domain: servers, axis: null, padding: 0.6 }, fy: { domain: c.at, axis: null, padding: 0 }, color: colour, symbol,
			marks: [
				Plot.frame({ anchor: "bottom", stroke: "var(--rule)" }),
				Plot.axisFy({ anchor: "left", label: null, tickFormat: t => cut(t, left - 8), fontSize: size }),
				Plot.ruleY(c.points.filter(p => p.high !== undefined), { fy: "at", y: "series", x1: "low", x2: "high", stroke: "series", strokeWidth: 1.6, className: "interval" }),
				Plot.dot(c.points, { fy: "at", y: "series", x: "v", fill: "series", symbol: "series", r: 3.4, title: p => `${p.series}, ${p.at}: ${p.text}`, className: "mark" }),
			],
		};
	}

	// ratios draws a row for each ratio, with a line at 1.
	function ratios(c, width) {
		const labels = c.points.map(p => p.at), left = Math.min(longest(labels) + 14, width * 0.44);
		const value = extent([...c.points, { v: 1 }], true);
		const verdict = { domain: ["better", "worse", "noise", "missing"], range: ["var(--good)", "var(--bad)", "var(--soft)", "var(--soft)"] };
		return {
			width, height: labels.length * 15 + 62, marginLeft: left, marginRight: 16, marginTop: 18, marginBottom: 44,
			x: { ...value, label: c.unit, labelAnchor: "center", labelArrow: "none", grid: true },
			y: { type: "band", domain: d3.range(labels.length), label: null, tickSize: 0, tickFormat: i => cut(labels[i], left - 12), padding: 0 },
			color: verdict, symbol: { domain: verdict.domain, range: ["diamond", "square", "circle", "cross"] },
			marks: [
				Plot.ruleX([1], { stroke: "currentColor", strokeWidth: 1.2 }),
				Plot.ruleY(c.points.map((p, i) => ({ ...p, i })).filter(p => p.high !== undefined), { y: "i", x1: "low", x2: "high", stroke: "verdict", strokeWidth: 1.6, className: "interval" }),
				Plot.dot(c.points, { y: (p, i) => i, x: "v", fill: p => p.verdict, symbol: "verdict", r: 3.6, title: p => `${p.at}: ${p.text}`, className: "mark" }),
			],
		};
	}

	const kinds = { along, rows, ratios };
	function draw(figure) {
		const c = charts.charts[Number(figure.dataset.chart)], box = figure.querySelector(".plot");
		const width = Math.floor(box.clientWidth);
		if (width < 100 || width === box.drawn) return; // hidden, or nothing new
		box.drawn = width;
		const kind = c.kind === "along" && longest(c.at) > 60 ? "rows" : c.kind;
		const svg = Plot.plot({ ...kinds[kind](c, width), style: { fontSize: size + "px", fontFamily: "inherit", color: "var(--soft)" }, ariaLabel: c.title });
		svg.setAttribute("role", "img");
		box.replaceChildren(svg);
	}
	const figures = [...document.querySelectorAll("figure[data-chart]")];
	document.body.classList.add("drawn"); // figures have room from now on
	figures.forEach(draw);
	addEventListener("resize", () => figures.forEach(draw));
	for (const swatch of document.querySelectorAll("[data-series]")) {
		const i = charts.series.indexOf(swatch.dataset.series);
		const svg = Plot.plot({ width: 14, height: 14, margin: 0, axis: null, x: { domain: [0, 1] }, y: { domain: [0, 1] }, marks: [
			Plot.dot([0], { x: 0.5, y: 0.5, r: 4, fill: colour.range[i], symbol: symbol.range[i] })] });
		svg.setAttribute("aria-hidden", "true");
		swatch.prepend(svg);
	}
})();
