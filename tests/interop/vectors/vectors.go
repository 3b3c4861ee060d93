// SPDX-License-Identifier: Apache-2.0

// Vectors reads files of tests/vectors/tlog and says of each whether golang.org/x/mod/sumdb takes what is in it:
//
//	vectors inclusion-ok.json inclusion-root-flipped.json
//	inclusion-ok.json true
//	inclusion-root-flipped.json false
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type given struct {
	Act      string   `json:"act"`
	LeafHash string   `json:"leaf_hash"`
	Index    int64    `json:"index"`
	Size     int64    `json:"size"`
	Proof    []string `json:"proof"`
	Root     string   `json:"root"`
	OldSize  int64    `json:"old_size"`
	NewSize  int64    `json:"new_size"`
	OldRoot  string   `json:"old_root"`
	NewRoot  string   `json:"new_root"`
	Note     string   `json:"note"`
	Base64   string   `json:"base64"`
	Name     string   `json:"name"`
	Key      string   `json:"key"`
}

func main() {
	for _, file := range os.Args[1:] {
		data, err := os.ReadFile(file)
		if err != nil {
			panic(err)
		}
		var vector struct {
			In given `json:"in"`
		}
		if err := json.Unmarshal(data, &vector); err != nil {
			panic(err)
		}
		fmt.Println(filepath.Base(file), verify(vector.In) == nil)
	}
}

func verify(in given) error {
	switch in.Act {
	case "verify_inclusion":
		hashes, err := parse(append([]string{in.LeafHash, in.Root}, in.Proof...))
		if err != nil {
			return err
		}
		return tlog.CheckRecord(hashes[2:], in.Size, hashes[1], in.Index, hashes[0])
	case "verify_consistency":
		hashes, err := parse(append([]string{in.OldRoot, in.NewRoot}, in.Proof...))
		if err != nil {
			return err
		}
		return tlog.CheckTree(hashes[2:], in.NewSize, hashes[1], in.OldSize, hashes[0])
	case "verify_note":
		return open(in)
	}
	panic(in.Act)
}

func parse(texts []string) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(texts))
	for place, text := range texts {
		data, err := hex.DecodeString(text)
		if err != nil || len(data) != tlog.HashSize {
			return nil, fmt.Errorf("%q is no hash", text)
		}
		copy(hashes[place][:], data)
	}
	return hashes, nil
}

func open(in given) error {
	signed := []byte(in.Note)
	if in.Base64 != "" {
		var err error
		if signed, err = base64.StdEncoding.DecodeString(in.Base64); err != nil {
			panic(err)
		}
	}
	public, err := base64.StdEncoding.DecodeString(in.Key)
	if err != nil {
		panic(err)
	}
	key, err := note.NewEd25519VerifierKey(in.Name, public)
	if err != nil {
		panic(err)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		panic(err)
	}
	_, err = note.Open(signed, note.VerifierList(verifier))
	return err
}
