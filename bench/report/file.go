package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"ringcached/bench/sut"
	"ringcached/bench/trial"
)

// WriteJSON writes a result, which begins with a sut.Header, to a file, all of it or nothing.
func WriteJSON(path string, result any) error {
	text, err := json.MarshalIndent(result, "", " ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return WriteFile(path, append(text, '\n'))
}

// Standard is the name that means the standard output instead of a file, and the standard input where a result is read.
const Standard = "-"

// WriteFile writes a file that everybody may read, all of it or nothing: a file of that name is replaced when the new
// one is whole. What target says is kept is written to instead, and so is the standard output if path is Standard.
func WriteFile(path string, text []byte) (err error) {
	if path == Standard {
		_, err = os.Stdout.Write(text)
		return err
	}
	whole, kept := target(path)
	if kept {
		var f *os.File
		if f, err = os.OpenFile(whole, os.O_WRONLY|os.O_APPEND, 0); err == nil {
			_, err = f.Write(text)
			err = errors.Join(err, f.Close())
		}
	} else {
		part := fmt.Sprintf("%s.%d", whole, os.Getpid())
		if err = os.WriteFile(part, text, 0o644); err == nil {
			err = os.Rename(part, whole)
		}
		_ = os.Remove(part) // after the rename there is nothing of that name
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// Writable says before there is anything to write why WriteFile could not write it. An empty path names no file.
func Writable(path string) error {
	whole, kept := target(path)
	info, err := os.Stat(whole)
	switch {
	case path == "":
		return nil
	case err == nil && info.IsDir():
		err = errors.New("it is a directory")
	case kept:
		err = unix.Access(whole, unix.W_OK)
	default:
		if err = unix.Access(filepath.Dir(whole), unix.W_OK|unix.X_OK); err != nil {
			err = fmt.Errorf("%s: %w", filepath.Dir(whole), err)
		}
	}
	if err != nil {
		err = fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return err
}

// target is the file that a path leads to, and whether that is kept when it is written: a device, a pipe, or what this
// program prints to, as /dev/stdout may be.
func target(path string) (whole string, kept bool) {
	whole = path
	if at, err := filepath.EvalSymlinks(path); err == nil {
		whole = at
	}
	info, err := os.Stat(whole)
	return whole, err == nil && (!info.Mode().IsRegular() || slices.ContainsFunc([]*os.File{os.Stdout, os.Stderr},
		func(f *os.File) bool {
			own, err := f.Stat()
			return err == nil && os.SameFile(own, info)
		}))
}

// Read reads a stored result, from the standard input if path is Standard. Of kinds that package trial does not
// measure, such as replay, it has the header only. Options are the maps, lists and numbers of encoding/json, whatever
// type they had.
func Read(path string) (*trial.Report, error) {
	var text []byte
	var err error
	if path == Standard {
		text, err = io.ReadAll(os.Stdin)
	} else {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	r, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func parse(text []byte) (*trial.Report, error) {
	var head struct {
		Format *int   `json:"format"`
		Kind   string `json:"kind"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("no result of ringcached-bench, for it is no JSON of that form: %w", err)
	}
	if head.Format == nil || head.Kind == "" {
		return nil, errors.New("no result of ringcached-bench: it has no format and kind")
	}
	formats := fmt.Sprintf("its format is %d, this program reads %d", *head.Format, sut.Format)
	switch {
	case *head.Format > sut.Format:
		return nil, errors.New("written by a newer ringcached-bench: " + formats)
	case *head.Format != sut.Format:
		return nil, errors.New(formats + ", in which servers are measured differently: measure again, compare the two " +
			"builds with `regress --revisions OLD..NEW`, or use the ringcached-bench that wrote it")
	}
	r := new(trial.Report)
	err := json.Unmarshal(text, r)
	for i := 0; err == nil && i < len(r.Results); i++ {
		err = check(r.Results[i])
	}
	if err != nil {
		return nil, fmt.Errorf("a damaged result: %w", err)
	}
	return r, nil
}

// check refuses what would lead outside of a plan.
func check(r *trial.Result) error {
	if r == nil || r.Plan == nil {
		return errors.New("a result without a plan")
	}
	name, outside := r.Plan.FullName(), func(point int) bool { return point < 0 || point >= len(r.Plan.Points) }
	for _, row := range r.Rows {
		named := func(s trial.Server) bool { return s.Name == row.Server }
		if outside(row.Point) || !slices.ContainsFunc(r.Plan.Servers, named) {
			return fmt.Errorf("%s has a row of point %d and server %q, which the plan has not", name, row.Point, row.Server)
		}
	}
	for _, ratio := range slices.Concat(r.Ratios, r.AA) {
		if outside(ratio.Point) {
			return fmt.Errorf("%s has a ratio of point %d, which the plan has not", name, ratio.Point)
		}
	}
	return nil
}
