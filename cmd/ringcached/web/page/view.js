// Tables, legends and figures of the page. They are changed in place, and only where a text is another, so that a selection, a place that is scrolled
// to and what a screen reader reads stay.

// set gives an element its text.
export function set(element, text) {
	text = String(text);
	if (element.textContent !== text) {
		element.textContent = text;
	}
}

// at finds an element of the page by its id.
export function at(id) {
	const element = document.getElementById(id);
	if (!element) {
		throw new Error(`the page has no ${id}`);
	}
	return element;
}

function make(name, attributes = {}) {
	const e = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		e.setAttribute(key, value);
	}
	return e;
}

// children makes a parent have n children, by adding some at its end or taking some from there.
function children(parent, n, create) {
	while (parent.children.length > n) {
		parent.lastElementChild.remove();
	}
	while (parent.children.length < n) {
		parent.append(create());
	}
	return [...parent.children];
}

// rows fills the body of a table: each row is a heading and cells. The row's name, which tests and scripts find it by, is its heading.
export function rows(table, list) {
	const body = table.tBodies[0] ?? table.createTBody();
	children(body, list.length, () => make("tr")).forEach((tr, i) => {
		const row = list[i];
		children(tr, row.length, () => (tr.children.length === 0 ? make("th", { scope: "row" }) : make("td"))).forEach((cell, k) => set(cell, row[k]));
	});
}

// pairs fills a list of terms, [[term, value, limit], ...]. The limit, which the value is a part of, may be missing.
export function pairs(list, wanted) {
	children(list, wanted.length, () => {
		const div = make("div"), dd = make("dd");
		dd.append(make("span"), make("small"));
		div.append(make("dt"), dd);
		return div;
	}).forEach((div, i) => {
		const [term, value, limit] = wanted[i];
		set(div.children[0], term);
		set(div.children[1].children[0], value);
		set(div.children[1].children[1], limit === undefined ? "" : ` of ${limit}`);
	});
}

// legend names the series of a chart, [[name, what it is now, look], ...]. A look is a class of style.css. The sign of a column is a square, that of a line a
// piece of it.
export function legend(list, wanted, sign) {
	children(list, wanted.length, () => {
		const li = make("li");
		li.append(make("span", { class: sign, "aria-hidden": "true" }), make("span"), make("b"));
		return li;
	}).forEach((li, i) => {
		li.children[0].setAttribute("class", `${sign} ${wanted[i][2]}`);
		set(li.children[1], wanted[i][0]);
		set(li.children[2], wanted[i][1] ?? "");
	});
}

// show lets an element be seen or not.
export function show(element, yes) {
	if (element.hidden === yes) {
		element.hidden = !yes;
	}
}
