// Numbers as people read them. Nothing here knows where a number comes from.

const nothing = "–";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const digits = new Map();

function rounded(x, places) {
	if (!digits.has(places)) {
		digits.set(places, new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places }));
	}
	return digits.get(places).format(x);
}

// known says whether there is a number to show.
function known(x) {
	return x !== null && x !== undefined && x !== "" && !Number.isNaN(Number(x));
}

// scaled writes x in the largest of the units that leaves at least 1, each of which is step times the one before.
function scaled(x, step, units) {
	let i = 0;
	while (i < units.length - 1 && Math.abs(x) >= step) {
		x /= step;
		i++;
	}
	const places = i === 0 && Number.isInteger(x) ? 0 : Math.abs(x) < 10 ? 2 : Math.abs(x) < 100 ? 1 : 0;
	return rounded(x, places) + units[i];
}

// count writes a whole number to its last digit, also one that is too large for a floating-point number and therefore comes as a string.
export function count(n) {
	if (typeof n === "string" && /^\d+$/.test(n)) {
		return grouped.format(BigInt(n));
	}
	return known(n) ? grouped.format(Number(n)) : nothing;
}

// brief writes a whole number where there is little room.
export function brief(n) {
	return known(n) && n >= 1e6 ? scaled(n / 1e6, 1000, [" M", " G", " T"]) : count(n);
}

// rate writes how often something happens in a second.
export function rate(x) {
	if (!known(x)) {
		return nothing;
	}
	return x === 0 ? "0" : x < 10 ? rounded(x, 2) : x < 1000 ? rounded(x, 1) : x < 1e6 ? grouped.format(x) : scaled(x / 1e6, 1000, [" M", " G"]);
}

// bytes writes a size in units of 1024.
export function bytes(n) {
	return known(n) ? scaled(Number(n), 1024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB"]) : nothing;
}

// perSecond writes bytes a second.
export function perSecond(n) {
	return known(n) ? bytes(n) + "/s" : nothing;
}

// percent writes a share of 1.
export function percent(x) {
	return known(x) ? rounded(x * 100, 2) + " %" : nothing;
}

// time writes nanoseconds. Infinity is what is longer than the last bound, which the caller gives.
export function time(ns, last) {
	if (ns === Infinity) {
		return "> " + time(last);
	}
	return known(ns) ? scaled(Number(ns), 1000, [" ns", " µs", " ms", " s"]) : nothing;
}

// duration writes seconds as the two largest units that they have.
export function duration(seconds) {
	if (!known(seconds)) {
		return nothing;
	}
	let rest = Math.floor(Number(seconds));
	const parts = [];
	for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
		const n = Math.floor(rest / size);
		rest -= n * size;
		if (parts.length > 0 || n > 0 || size === 1) {
			parts.push(`${n} ${unit}`);
		}
	}
	return parts.slice(0, 2).join(" ");
}

// ratio writes how much of one thing comes with one of another.
export function ratio(x) {
	return known(x) ? rounded(x, Math.abs(x) < 10 ? 2 : 1) : nothing;
}
