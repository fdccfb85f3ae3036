package main

import (
	"bytes"
	"testing"
)

func TestAnswer(t *testing.T) {
	query := []byte{0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 'a', 2, 'b', 'c', 0, 0, 1, 0, 1, 0, 0, 41}
	want := []byte{0xab, 0xcd, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 2, 'b', 'c', 0, 0, 1, 0, 1}
	if got := answer(query); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	for _, bad := range [][]byte{nil, query[:11], query[:14], query[:20], want} {
		if got := answer(bad); got != nil {
			t.Errorf("%x was answered with %x", bad, got)
		}
	}
}
