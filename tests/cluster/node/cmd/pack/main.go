// Pack writes container images from folders into one archive that `ctr images import` and `docker load` read. Layers
// that several images name are written once, uncompressed, and every byte is a function of the folders' content: no
// times, no owners, sorted names. It must not need a Docker engine.
//
//	pack OUT.tar FOLDER < images.json        images.json: [{"name", "layers": [SUBFOLDER or TAR…], "config": {…}}, …]
package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

type image struct {
	Name   string         `json:"name"`
	Layers []string       `json:"layers"`
	Config map[string]any `json:"config"`
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: pack OUT.tar FOLDER < images.json"))
	}
	var images []image
	if err := json.NewDecoder(os.Stdin).Decode(&images); err != nil {
		fail(fmt.Errorf("images.json: %w", err))
	}
	if err := pack(os.Args[1], os.Args[2], images); err != nil {
		fail(err)
	}
}

// pack writes beside `out` and renames, so that a file named `out` is whole.
func pack(out, folder string, images []image) error {
	file, err := os.Create(out + ".part")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	archive := &layout{tar: tar.NewWriter(file), known: map[string]descriptor{}}
	layers := map[string]descriptor{}
	for _, image := range images {
		for _, name := range image.Layers {
			if _, done := layers[name]; done {
				continue
			}
			if layers[name], err = archive.layer(filepath.Join(folder, name)); err != nil {
				return err
			}
		}
		if err := archive.image(image, layers); err != nil {
			return err
		}
	}
	if err := archive.finish(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), out)
}

// layerTar streams a layer: a folder, or a file that is its tar file already, owners included.
func layerTar(path string, to io.Writer) error {
	if info, err := os.Stat(path); err != nil {
		return err
	} else if info.IsDir() {
		return folderTar(path, to)
	}
	ready, err := os.Open(path)
	if err != nil {
		return err
	}
	defer ready.Close()
	_, err = io.Copy(to, ready)
	return err
}

// folderTar streams a folder as a tar file: sorted, owned by root, at time zero.
func folderTar(folder string, to io.Writer) error {
	writer := tar.NewWriter(to)
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		return addEntry(writer, folder, path, entry)
	})
	if err != nil {
		return err
	}
	return writer.Close()
}

func addEntry(writer *tar.Writer, folder, path string, entry os.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&os.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(folder, path)
	if err != nil {
		return err
	}
	plain := tar.Header{Typeflag: header.Typeflag, Name: name, Linkname: target, Mode: header.Mode, Size: header.Size, Format: tar.FormatGNU}
	if info.IsDir() {
		plain.Name += "/"
	}
	if err := writer.WriteHeader(&plain); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	content, err := os.Open(path)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(writer, content)
	return err
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "pack:", err)
	os.Exit(1)
}
