// Looks at the page as it is laid out; browser_test.go judges what this returns.
(() => {
	const touches = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
	const charts = JSON.parse(document.getElementById("charts").textContent).charts;
	const figures = [...document.querySelectorAll("figure[data-chart]")].map(figure => {
		const svg = figure.querySelector("svg"), chart = charts[Number(figure.dataset.chart)];
		if (!svg) return { ID: chart.title + " (not drawn)" };
		const box = svg.getBoundingClientRect();
		const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent).map(t => {
			// The box of a text is as high as its line: its letters are about two thirds of that.
			const r = t.getBoundingClientRect(), cut = r.height / 6;
			return { text: t.textContent, left: r.left, right: r.right, top: r.top + cut, bottom: r.bottom - cut, height: r.height };
		});
		const overlaps = [];
		texts.forEach((a, i) => texts.slice(i + 1).forEach(b => { if (touches(a, b)) overlaps.push(a.text + " | " + b.text); }));
		const marks = [...svg.querySelectorAll(".mark path, .mark circle")], lines = [...svg.querySelectorAll(".interval line")];
		const apart = marks.length !== lines.length ? [] : marks.filter((m, i) => {
			const a = m.getBoundingClientRect(), b = lines[i].getBoundingClientRect(), x = (a.left + a.right) / 2, y = (a.top + a.bottom) / 2;
			return x < b.left - 2 || x > b.right + 2 || y < b.top - 2 || y > b.bottom + 2;
		});
		return {
			ID: chart.title + " by " + chart.axis, Left: box.left, Right: box.right, Wide: box.width, High: box.height,
			LetterHeight: Math.min(...texts.map(t => t.height)), Texts: texts.length, Overlaps: overlaps,
			Marks: marks.length, Points: chart.points.length, Intervals: lines.length, Bounds: chart.points.filter(p => p.high !== undefined).length,
			Outside: texts.filter(t => t.left < box.left - 1 || t.right > box.right + 1 || t.top < box.top - 1 || t.bottom > box.bottom + 1).map(t => t.text),
			Apart: apart.map(m => m.textContent),
		};
	});

	const colour = text => { const n = text.match(/[\d.]+/g).map(Number); return { rgb: n.slice(0, 3), alpha: n.length > 3 ? n[3] : 1 }; };
	const luminance = rgb => {
		const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = colour(getComputedStyle(e).backgroundColor);
			if (c.alpha === 1) return c.rgb;
		}
		return [255, 255, 255];
	};
	const low = new Set();
	// Rows of a table look alike: three of each are enough.
	for (const e of document.querySelectorAll("body *:not(tbody tr:nth-child(n + 4), tbody tr:nth-child(n + 4) *)")) {
		if (![...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim()) || !e.getClientRects().length) continue;
		const style = getComputedStyle(e);
		const [a, b] = [luminance(colour(e instanceof SVGElement ? style.fill : style.color).rgb), luminance(behind(e))];
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (contrast < 4.5) low.add(e.tagName + " " + e.textContent.trim().slice(0, 30) + " " + contrast.toFixed(2));
	}
	return {
		Width: document.documentElement.clientWidth, Scrolls: document.documentElement.scrollWidth, Paper: getComputedStyle(document.body).backgroundColor,
		Headings: [...document.querySelectorAll("h2")].map(h => h.textContent.trim()), Figures: figures, LowContrast: [...low], 
		Servers: document.querySelectorAll("[data-series]").length, Swatches: document.querySelectorAll("[data-series] svg path, [data-series] svg circle").length,
	};
})()
