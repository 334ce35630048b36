package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = `MIT License

Copyright (c) 2031 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

const gpl = `This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as
published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.
`

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func wants(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("the error is %v, want %q", err, want)
	}
}

func TestLicences(t *testing.T) {
	for sentence, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"one that is allowed":                         {map[string]string{"LICENSE": mit, "deep/er/x.go": ""}, ""},
		"one that is not":                             {map[string]string{"LICENSE": gpl, "deep/er/x.go": ""}, "GPL-3.0"},
		"one that is not, nearer to the package":      {map[string]string{"LICENSE": mit, "deep/COPYING": gpl, "deep/er/x.go": ""}, "GPL-3.0"},
		"one that is not, beside one that is":         {map[string]string{"LICENSE": mit, "LICENSE.part": gpl, "deep/er/x.go": ""}, "GPL-3.0"},
		"none":                                        {map[string]string{"README": mit, "deep/er/x.go": ""}, "there is no licence"},
		"one that nobody knows":                       {map[string]string{"LICENSE": "All rights reserved.", "deep/er/x.go": ""}, "only 0 %"},
		"one with more behind it than the text of it": {map[string]string{"LICENSE": mit + strings.Repeat("You owe us money. ", 100), "deep/er/x.go": ""}, "of it is a licence that is known"},
	} {
		t.Run(sentence, func(t *testing.T) {
			folder := write(t, c.files)
			m := &linkedModule{path: "example.com/m", version: "v1.0.0", folder: folder, packages: []string{filepath.Join(folder, "deep", "er")}}
			_, err := m.licences()
			wants(t, err, c.want)
		})
	}
}

func TestEachModuleThatIsAskedForHasItsLine(t *testing.T) {
	const asks = "module example.com/x\n\ngo 1.26.0\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b/v2 v2.0.0\n\texample.com/c v1.0.0 // indirect\n)\n"
	const page = "| module | why |\n|---|---|\n| example.com/a, example.com/b/v2 | they |\n"
	for sentence, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"all have one": {map[string]string{"go.mod": asks, "docs/dependencies.md": page}, ""},
		"one has none": {map[string]string{"go.mod": asks, "docs/dependencies.md": "| example.com/a | it |\n"}, "no line for example.com/b/v2"},
		"one of a module below has none": {map[string]string{
			"go.mod": asks, "docs/dependencies.md": page,
			"hack/y/go.mod": "module example.com/y\n\ngo 1.26.0\n\nrequire example.com/d v1.0.0\n",
		}, "no line for example.com/d"},
		"a tool has none": {map[string]string{
			"go.mod": asks, "docs/dependencies.md": page,
			"hack/y/go.mod": "module example.com/y\n\ngo 1.26.0\n\ntool example.com/e/cmd\n\nrequire example.com/e v1.0.0 // indirect\n",
		}, "no line for example.com/e"},
		"it is named in another's reason": {map[string]string{
			"go.mod": asks, "docs/dependencies.md": "| example.com/a | better than example.com/b/v2 |\n",
		}, "no line for example.com/b/v2"},
	} {
		t.Run(sentence, func(t *testing.T) { wants(t, documented(write(t, c.files)), c.want) })
	}
}
