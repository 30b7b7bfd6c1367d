package tables

import (
	"strings"
	"testing"
)

func TestPrint(t *testing.T) {
	var b strings.Builder
	Print(&b, "> ", 1, [][]string{{"size", "µs", "note"}, {"64 KiB", "12.5 ±1%", ""}, {"1"}, {"", "7", "x"}})
	const want = ">" + ` size          µs  note
> 64 KiB  12.5 ±1%
> 1
>                7     x
`
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestForms(t *testing.T) {
	for got, want := range map[string]string{
		Plural(1, "thread"): "1 thread", Plural(0, "thread"): "0 threads", Micro(99.94): "99.9", Micro(100): "100", List([]int{0, 2, 3}): "0,2,3", List(nil): "",
		OrDash(0, "%.1f"): "-", OrDash(2.25, "%.1f"): "2.2",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
