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

func TestText(t *testing.T) {
	text := NewText(`{{define "all"}}{{plural 2 "row"}}, {{per 1 4}}, {{less 3 .Seen}}, {{percent 0.5}} % {{double 2}}
	size	share
{{range .Rows}}{{.}}	{{micro 1.25}}
{{end}}
end
{{end}}`, map[string]any{"double": func(n int) int { return 2 * n }})
	var b strings.Builder
	text.Show(&b, "all", map[string]any{"Seen": int64(1), "Rows": []string{"a", "long"}})
	const want = "2 rows, 0.25, 2, 50 % 4\n" +
		"        size  share\n" +
		"  a      1.2\n" +
		"  long   1.2\n\nend\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
