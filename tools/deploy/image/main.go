package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// release is what the image says about the programs in it.
type release struct {
	version  string
	revision string // the commit; empty: not known
	created  time.Time
}

// programs are those of one platform.
type programs struct {
	platform v1.Platform
	dir      string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "image:", err)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	output := flags.String("o", "", "write the image to this `FILE`")
	version := flags.String("version", "", "the `VERSION` of ringcached, which is the image's tag")
	revision := flags.String("revision", "", "the `COMMIT` that the programs were built from")
	epoch := flags.Int64("epoch", 0, "the time of every file and of the image, in `SECONDS` since 1970, as SOURCE_DATE_EPOCH")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *output == "" || *version == "" || flags.NArg() == 0 {
		return errors.New("-o, -version and a PLATFORM=DIR are needed")
	}
	if !validTag(*version) {
		return fmt.Errorf("-version %s can't be a tag: letters, digits, '.', '_' and '-' only, at most 128", *version)
	}
	all, err := parsePrograms(flags.Args())
	if err != nil {
		return err
	}
	index, err := makeIndex(release{*version, *revision, time.Unix(*epoch, 0).UTC()}, all)
	if err != nil {
		return err
	}
	return writeArchive(*output, index, *version, time.Unix(*epoch, 0).UTC())
}

// parsePrograms reads arguments such as linux/amd64=bin/amd64. A platform may be there once.
func parsePrograms(args []string) (all []programs, err error) {
	seen := map[string]bool{}
	for _, arg := range args {
		name, dir, found := strings.Cut(arg, "=")
		platform, err := v1.ParsePlatform(name)
		switch {
		case !found || dir == "":
			return nil, fmt.Errorf("%s: PLATFORM=DIR is needed, as linux/amd64=bin/amd64", arg)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", arg, err)
		case platform.OS != "linux" || platform.Architecture == "":
			return nil, fmt.Errorf("%s: ringcached runs on linux/ARCHITECTURE only", arg)
		case seen[platform.String()]:
			return nil, fmt.Errorf("%s: the platform is there twice", arg)
		}
		seen[platform.String()] = true
		all = append(all, programs{*platform, filepath.Clean(dir)})
	}
	return all, nil
}

// validTag is the rule of the distribution specification for tags.
func validTag(tag string) bool {
	for i, c := range tag {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
		if !letter && (i == 0 || c != '.' && c != '-') {
			return false
		}
	}
	return tag != "" && len(tag) <= 128
}
