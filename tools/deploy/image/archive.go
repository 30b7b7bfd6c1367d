package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// writeArchive writes an OCI layout (https://specs.opencontainers.org/image-spec/image-layout/) as a tar file, under another name until it is
// whole. The layout's index has one entry, the index of the image, since engines refuse to choose between several. Engines name what they load
// by its annotations: skopeo and others by the first, podman and containerd by the second.
func writeArchive(path string, index v1.ImageIndex, tag string, created time.Time) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	laid, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		return err
	}
	err = laid.AppendIndex(index, layout.WithAnnotations(map[string]string{
		labelPrefix + "ref.name":   tag,
		"io.containerd.image.name": fmt.Sprintf("localhost/%s:%s", title, tag),
	}))
	if err != nil {
		return err
	}
	unfinished := filepath.Join(dir, "image.tar")
	if err := tarDir(filepath.Join(dir, "layout"), unfinished, created); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}

// tarDir writes what is in dir to the tar file at path: sorted by name, of one time and of nobody in particular.
func tarDir(dir, path string, created time.Time) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(file)
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeDir, Name: filepath.ToSlash(relative) + "/", Mode: 0o755, ModTime: created, Format: tar.FormatUSTAR}
		if entry.IsDir() {
			return w.WriteHeader(header)
		}
		return addFile(w, name, filepath.ToSlash(relative), created)
	})
	return errors.Join(err, w.Close(), file.Close())
}

func addFile(w *tar.Writer, path, name string, created time.Time) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size(), ModTime: created, Format: tar.FormatUSTAR})
	if err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return err
}
