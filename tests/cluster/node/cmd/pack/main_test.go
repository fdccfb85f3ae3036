package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func folder(t *testing.T, at time.Time) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{"shared/bin/b": "program", "shared/a": "", "own/c": "other"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("b", filepath.Join(root, "shared/bin/l")); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestTwoFoldersGiveTheSameBytesAndSharedLayersAreWrittenOnce(t *testing.T) {
	images := []image{
		{Name: "example.test/one:1", Layers: []string{"shared"}},
		{Name: "example.test/two:1", Layers: []string{"shared", "own"}, Config: map[string]any{"User": "1000"}},
	}
	var archives [][]byte
	for _, at := range []time.Time{time.Unix(1, 0), time.Unix(1e9, 0)} {
		out := filepath.Join(t.TempDir(), "images.tar")
		if err := pack(out, folder(t, at), images); err != nil {
			t.Fatal(err)
		}
		archive, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, archive)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("times of files show in the archive")
	}
	names := map[string]int{}
	reader := tar.NewReader(bytes.NewReader(archives[0]))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		names[header.Name]++
	}
	// two layers, two configurations, two manifests, and the layout's three documents
	if len(names) != 9 || names["index.json"] != 1 || names["manifest.json"] != 1 {
		t.Errorf("%v", names)
	}
	for name, count := range names {
		if count != 1 {
			t.Errorf("%s stands in the archive %d times", name, count)
		}
	}
}

func TestAMissingFolderLeavesNoArchive(t *testing.T) {
	out := filepath.Join(t.TempDir(), "images.tar")
	if err := pack(out, t.TempDir(), []image{{Name: "example.test/one:1", Layers: []string{"nothing"}}}); err == nil {
		t.Error("no error")
	}
	if left, _ := filepath.Glob(out + "*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
