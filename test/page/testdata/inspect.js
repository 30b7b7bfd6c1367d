// Looks at the page as it is laid out; the tests judge what this returns.
(() => {
	const touches = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
	const charts = [...document.querySelectorAll("figure svg")].map((svg) => {
		const box = svg.getBoundingClientRect();
		const texts = [...svg.querySelectorAll("text")].map((t) => {
			// The box of a text is as high as its line: its letters are about two thirds of that.
			const r = t.getBoundingClientRect(), cut = r.height / 6;
			return { text: t.textContent, left: r.left, right: r.right, top: r.top + cut, bottom: r.bottom - cut, height: r.height };
		});
		const overlaps = [];
		texts.forEach((a, i) => texts.slice(i + 1).forEach((b) => { if (touches(a, b)) overlaps.push(a.text + " | " + b.text); }));
		const said = (name) => (svg.getAttribute(name) ?? "").split(" ").map((id) => document.getElementById(id)?.textContent.trim() ?? "").join("");
		return {
			ID: svg.id, Left: box.left, Right: box.right, Wide: box.width, High: box.height,
			LetterHeight: Math.min(...texts.map((t) => t.height)), Texts: texts.map((t) => t.text), Overlaps: overlaps,
			Marks: [...svg.querySelectorAll("path.line, rect.column")].filter((m) => m.getAttribute("d") !== "").length,
			Invisible: [...svg.querySelectorAll("path.line, rect.column")].filter((m) => {
				const style = getComputedStyle(m), ink = m.matches("path") ? style.stroke : style.fill;
				return ink === "none" || contrast(colour(ink).rgb, behind(svg)) < 3;
			}).length,
			Outside: texts.filter((t) => t.left < box.left - 1 || t.right > box.right + 1 || t.top < box.top - 1 || t.bottom > box.bottom + 1).map((t) => t.text),
			Named: svg.getAttribute("role") === "img" && said("aria-labelledby") !== "" && said("aria-describedby") !== "",
		};
	});

	function colour(text) {
		const n = (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
		return { rgb: n.slice(0, 3), alpha: n.length > 3 ? n[3] : 1 };
	}
	function luminance(rgb) {
		const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	}
	function contrast(one, other) {
		const [a, b] = [luminance(one), luminance(other)];
		return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
	}
	function behind(e) {
		for (; e; e = e.parentElement) {
			const c = colour(getComputedStyle(e).backgroundColor);
			if (c.alpha === 1) return c.rgb;
		}
		return [255, 255, 255];
	}
	const low = new Set();
	for (const e of document.querySelectorAll("body *:not(tbody tr:nth-child(n + 4), tbody tr:nth-child(n + 4) *)")) {
		if (![...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim()) || !e.getClientRects().length) continue;
		const style = getComputedStyle(e), is = contrast(colour(e instanceof SVGElement ? style.fill : style.color).rgb, behind(e));
		if (is < 4.5) low.add(`${e.tagName} ${e.textContent.trim().slice(0, 30)} ${is.toFixed(2)}`);
	}

	// Every figure that is text, by where it stands: a table's id, the heading of the row and of the column, or a list's id and the term.
	const cells = {};
	for (const table of document.querySelectorAll("table")) {
		const columns = [...table.tHead.rows[0].cells].map((c) => c.textContent);
		for (const row of table.tBodies[0]?.rows ?? []) {
			[...row.cells].slice(1).forEach((cell, i) => { cells[`${table.id}/${row.cells[0].textContent}/${columns[i + 1]}`] = cell.textContent; });
		}
	}
	for (const term of document.querySelectorAll("dl dt")) {
		cells[`${term.closest("dl").id}/${term.textContent}`] = term.nextElementSibling.textContent;
	}
	for (const item of document.querySelectorAll(".legend li")) {
		cells[`${item.parentElement.id}/${item.children[1].textContent}`] = item.children[2].textContent;
	}
	const text = (id) => document.getElementById(id).textContent;
	return {
		Width: document.documentElement.clientWidth, Scrolls: document.documentElement.scrollWidth, Paper: getComputedStyle(document.body).backgroundColor,
		Charts: charts, Cells: cells, LowContrast: [...low],
		State: text("state"), Notice: text("notice"), Engine: text("engine"), Version: text("version"), HotNote: text("hot-note"),
		Markup: document.querySelectorAll("main script, main img, main iframe, main a, main b b").length,
		Nameless: [...document.querySelectorAll("button, [role=region], section, summary")].filter((e) =>
			!(e.getAttribute("aria-label") || document.getElementById(e.getAttribute("aria-labelledby"))?.textContent || e.matches("button, summary") && e.textContent.trim())).map((e) => e.outerHTML.slice(0, 80)),
		Small: [...document.querySelectorAll("button")].filter((e) => e.getBoundingClientRect().height < 24).map((e) => e.id),
		Headless: [...document.querySelectorAll("table")].filter((t) => [...t.querySelectorAll("th")].some((h) => !h.hasAttribute("scope"))).map((t) => t.id),
		Moving: document.getAnimations().length,
		Asked: performance.getEntriesByType("resource").map((e) => e.name),
	};
})()
