// SPDX-License-Identifier: Apache-2.0

// Readlog fetches a log in the C2SP tlog-tiles layout and verifies all of it with golang.org/x/mod/sumdb: the signature
// of its checkpoint, every tile, every entry, a proof of inclusion for each, and that a checkpoint kept before is of a
// tree that this one begins with.
//
//	COMITY_LOG_SECRET=… readlog -url https://aurelia.example/comity/log/aurelia -key comity/aurelia+3c9a01f2+AT… -kept FILE
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
	most   = width * (2 + 65535)
)

func main() {
	url := flag.String("url", "", "prefix of the log")
	key := flag.String("key", "", "its verifier key, as signed-note spells it")
	kept := flag.String("kept", "", "file of a checkpoint kept before")
	flag.Parse()
	if err := verify(*url, *key, *kept); err != nil {
		fmt.Fprintln(os.Stderr, "NOT VERIFIED:", err)
		os.Exit(1)
	}
}

func verify(url, key, kept string) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	source := &source{prefix: strings.TrimRight(url, "/"), tiles: map[string][]byte{}}
	signed, err := source.fetch("checkpoint", 1<<20)
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(signed, verifier)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	// It gives no hash that does not lead to the root that was signed.
	hashes := tlog.TileHashReader(tree, source)
	if err := verifyEntries(source, tree, hashes); err != nil {
		return err
	}
	if kept == "" {
		fmt.Printf("verified %d entries, %d inclusion proofs\n", tree.N, tree.N)
		return nil
	}
	old, err := verifyKept(kept, verifier, tree, hashes)
	if err != nil {
		return fmt.Errorf("the checkpoint kept before: %w", err)
	}
	fmt.Printf("verified %d entries, %d inclusion proofs, and that %d entries are their beginning\n", tree.N, tree.N, old.N)
	return nil
}

// openCheckpoint gives the tree of a checkpoint that the key has signed (C2SP tlog-checkpoint).
func openCheckpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	var tree tlog.Tree
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tree, fmt.Errorf("it is not of the log %s", verifier.Name())
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

func verifyEntries(source *source, tree tlog.Tree, hashes tlog.HashReader) error {
	for start := int64(0); start < tree.N; start += width {
		count := tree.N - start
		if count > width {
			count = width
		}
		bundle := tlog.Tile{H: height, L: 0, N: start / width, W: int(count)}
		path := strings.Replace(path(bundle), "tile/0/", "tile/entries/", 1)
		data, err := source.fetch(path, most)
		if err != nil {
			return err
		}
		for number := start; number < start+count; number++ {
			var entry []byte
			if entry, data, err = cutEntry(data); err != nil {
				return fmt.Errorf("%s, entry %d: %w", path, number, err)
			}
			proof, err := tlog.ProveRecord(tree.N, number, hashes)
			if err != nil {
				return fmt.Errorf("entry %d: %w", number, err)
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, number, tlog.RecordHash(entry)); err != nil {
				return fmt.Errorf("entry %d: %w", number, err)
			}
		}
		if len(data) > 0 {
			return fmt.Errorf("%s holds more than its %d entries", path, count)
		}
	}
	return nil
}

func cutEntry(data []byte) (entry, rest []byte, err error) {
	if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
		return nil, nil, errors.New("the bundle is cut short")
	}
	end := 2 + int(binary.BigEndian.Uint16(data))
	return data[2:end], data[end:], nil
}

func verifyKept(file string, verifier note.Verifier, tree tlog.Tree, hashes tlog.HashReader) (tlog.Tree, error) {
	signed, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, err
	}
	old, err := openCheckpoint(signed, verifier)
	if err != nil || old.N == 0 {
		return old, err
	}
	if old.N > tree.N {
		return old, fmt.Errorf("it was over %d entries, and there are %d", old.N, tree.N)
	}
	proof, err := tlog.ProveTree(tree.N, old.N, hashes)
	if err != nil {
		return old, err
	}
	return old, tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

// source is a log over HTTP, as tlog.TileHashReader asks for one.
type source struct {
	prefix string
	tiles  map[string][]byte
}

func (s *source) Height() int { return height }

func (s *source) SaveTiles([]tlog.Tile, [][]byte) {}

func (s *source) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(tiles))
	for place, tile := range tiles {
		name := path(tile)
		if s.tiles[name] == nil {
			data, err := s.fetch(name, width*tlog.HashSize)
			if err != nil {
				return nil, err
			}
			s.tiles[name] = data
		}
		read[place] = s.tiles[name]
	}
	return read, nil
}

// path is where a tile lies in C2SP's layout, which leaves out the height.
func path(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
}

func (s *source) fetch(name string, most int64) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, s.prefix+"/"+name, nil)
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth("reader", os.Getenv("COMITY_LOG_SECRET"))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", name, answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("%s is over %d bytes", name, most)
	}
	return data, err
}
