package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// buildPrograms builds the entrypoint for an architecture, and takes it for the server, too: what is in an image is not run here.
func buildPrograms(t *testing.T, architecture string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", dir+"/entrypoint", "./entrypoint")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Link(dir+"/entrypoint", dir+"/ringcached"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/copyright", []byte("MIT\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// makeArchive runs the command.
func makeArchive(t *testing.T, args ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "image.tar")
	if err := run(append([]string{"-o", path, "-version", "1.2.3", "-revision", "abc", "-epoch", "1700000000"}, args...)); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpack lays a tar file out as files, and fails unless all are of the time that was asked for and belong to nobody.
func unpack(t *testing.T, r io.Reader, each func(h *tar.Header, text []byte)) {
	t.Helper()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 1700000000 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s: of %v, user %d %q, group %d %q", h.Name, h.ModTime, h.Uid, h.Uname, h.Gid, h.Gname)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		each(h, text)
	}
}

// openArchive is the image in a tar file, after the library's own checks of every digest and size.
func openArchive(t *testing.T, path string) (index v1.ImageIndex, entry v1.Descriptor) {
	t.Helper()
	dir := t.TempDir()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpack(t, file, func(h *tar.Header, text []byte) {
		to := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(to, 0o755)
		} else {
			err = os.WriteFile(to, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	whole, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := whole.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("%v, entries %+v: engines load one", err, manifest.Manifests)
	}
	entry = manifest.Manifests[0]
	if index, err = whole.ImageIndex(entry.Digest); err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	return index, entry
}

// TestImageIsReproducible: the same programs give the same bytes, wherever they lie.
func TestImageIsReproducible(t *testing.T) {
	amd, arm := buildPrograms(t, "amd64"), buildPrograms(t, "arm64")
	var files [][]byte
	for _, dirs := range [][2]string{{amd, arm}, {copyPrograms(t, amd), copyPrograms(t, arm)}} {
		text, err := os.ReadFile(makeArchive(t, "linux/amd64="+dirs[0], "linux/arm64="+dirs[1]))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, text)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two images of the same programs differ")
	}
}

func copyPrograms(t *testing.T, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestImageIsRunAsMemcached: what engines read of an image.
func TestImageIsRunAsMemcached(t *testing.T) {
	index, entry := openArchive(t, makeArchive(t, "linux/amd64="+buildPrograms(t, "amd64"), "linux/arm64="+buildPrograms(t, "arm64")))
	if got := entry.Annotations[labelPrefix+"ref.name"]; got != "1.2.3" {
		t.Errorf("the tag is %q", got)
	}
	if got := entry.Annotations["io.containerd.image.name"]; got != "localhost/ringcached:1.2.3" {
		t.Errorf("the name is %q", got)
	}
	manifest, err := index.IndexManifest()
	if err != nil || manifest.Annotations[labelPrefix+"version"] != "1.2.3" || entry.MediaType != types.OCIImageIndex {
		t.Errorf("%v: %v %v", err, entry.MediaType, manifest.Annotations)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		image, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkConfig(t, image, m.Platform)
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
		t.Errorf("platforms %v", platforms)
	}
}

func checkConfig(t *testing.T, image v1.Image, platform *v1.Platform) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	_, exposed := c.ExposedPorts["11211/tcp"]
	if c.User != "11211:11211" || !exposed || len(c.ExposedPorts) != 1 || c.StopSignal != "SIGTERM" ||
		!slices.Equal(c.Entrypoint, []string{"/usr/local/bin/entrypoint"}) || !slices.Equal(c.Cmd, []string{"ringcached"}) {
		t.Errorf("%v: %+v", platform, c)
	}
	if config.Architecture != platform.Architecture || config.OS != "linux" || config.Created.Unix() != 1700000000 || len(config.History) != 1 {
		t.Errorf("%v: %+v", platform, config)
	}
	for label, want := range map[string]string{
		"version": "1.2.3", "revision": "abc", "licenses": "MIT", "title": "ringcached",
		"created": time.Unix(1700000000, 0).UTC().Format(time.RFC3339),
	} {
		if got := c.Labels[labelPrefix+label]; got != want {
			t.Errorf("%v: label %s is %q, not %q", platform, label, got, want)
		}
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%v, %d layers", err, len(layers))
	}
	files, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	checkRoot(t, files)
}

// checkRoot looks for the files that a container needs, with their modes.
func checkRoot(t *testing.T, layer io.Reader) {
	t.Helper()
	found := map[string]*tar.Header{}
	unpack(t, layer, func(h *tar.Header, _ []byte) { found[h.Name] = h })
	for name, mode := range map[string]int64{"tmp/": 0o1777, "etc/passwd": 0o644, "usr/share/doc/ringcached/copyright": 0o644, "usr/local/bin/ringcached": 0o755, "usr/local/bin/entrypoint": 0o755} {
		if h := found[name]; h == nil || h.Mode != mode {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h := found["usr/local/bin/memcached"]; h == nil || h.Typeflag != tar.TypeSymlink || h.Linkname != "ringcached" {
		t.Errorf("memcached: %+v", h)
	}
	if len(found) != 14 {
		t.Errorf("%d entries in the image", len(found))
	}
}

// TestImageRefuses: what can't be run, and what can't be meant, gives one line and no file.
func TestImageRefuses(t *testing.T) {
	amd, empty := buildPrograms(t, "amd64"), t.TempDir()
	text := t.TempDir()
	if err := os.WriteFile(text+"/entrypoint", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ version, arg, want string }{
		{"1", "linux/arm64=" + amd, "not for arm64"},
		{"1", "linux/amd64=" + empty, "no such file"},
		{"1", "linux/amd64=" + text, "is no program"},
		{"1", "linux/amd64", "PLATFORM=DIR is needed"},
		{"1", "darwin/arm64=" + amd, "on linux/ARCHITECTURE only"},
		{"a b", "linux/amd64=" + amd, "can't be a tag"},
		{"", "linux/amd64=" + amd, "are needed"},
	} {
		path := filepath.Join(t.TempDir(), "image.tar")
		err := run([]string{"-o", path, "-version", test.version, test.arg})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", test.arg, err, test.want)
		}
		left, _ := os.ReadDir(filepath.Dir(path))
		if len(left) > 0 {
			t.Errorf("%s: left %v", test.arg, left)
		}
	}
	if _, err := parsePrograms([]string{"linux/amd64=a", "linux/amd64=b"}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a platform that is there twice: %v", err)
	}
}
