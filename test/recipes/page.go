// Package recipes executes the pages of docs/recipes exactly as they are printed. What a block means is told in
// docs/decisions/0024-recipes-run-as-printed.md.
package recipes

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	fence       = "```"
	commands    = "sh"
	output      = "text"
	cleanUpPart = "Clean up"
)

// Step is one block of a page.
type Step struct {
	// Line is that of the block's opening fence, counted from 1.
	Line int
	// Text is the block's content, ending with a newline.
	Text string
	// File is the file to write Text to; empty where Text is commands to run.
	File string
	// Prints is what the commands must print, in the pattern that Match reads; nil where the page does not say.
	Prints *string
	// CleanUp is true for what stands below the heading "Clean up".
	CleanUp bool
}

// Page is a recipe: its steps from top to bottom.
type Page struct {
	Name  string
	Steps []Step
}

// ReadPages reads every recipe below the top folder of the repository.
func ReadPages(top string) ([]Page, error) {
	paths, err := filepath.Glob(filepath.Join(top, "docs", "recipes", "*.md"))
	if err != nil {
		return nil, fmt.Errorf("find recipes: %w", err)
	}
	var pages []Page
	for _, path := range paths {
		if filepath.Base(path) == "README.md" {
			continue
		}
		page, err := ReadPage(path)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// ReadPage reads a Markdown file. It is an error if a block has no use: each is run, written to a file, or compared.
func ReadPage(path string) (Page, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Page{}, fmt.Errorf("read recipe: %w", err)
	}
	p := parser{page: Page{Name: strings.TrimSuffix(filepath.Base(path), ".md")}}
	for i, line := range strings.Split(string(content), "\n") {
		if err := p.take(i+1, line); err != nil {
			return Page{}, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
	}
	if p.block != nil {
		return Page{}, fmt.Errorf("%s:%d: the block does not end", path, p.block.Line)
	}
	return p.page, nil
}

type parser struct {
	page     Page
	heading  string
	before   string // the last line before the block that is not blank
	language string
	block    *Step // nil between blocks
}

func (p *parser) take(number int, line string) error {
	switch {
	case p.block != nil && line == fence:
		return p.close()
	case p.block != nil:
		p.block.Text += line + "\n"
	case strings.HasPrefix(line, fence):
		p.language = strings.TrimPrefix(line, fence)
		p.block = &Step{Line: number, CleanUp: p.heading == cleanUpPart}
	case strings.HasPrefix(strings.TrimSpace(line), fence):
		return fmt.Errorf("a block must not be indented, so that it can be copied as it is")
	case strings.HasPrefix(line, "## "):
		p.heading = strings.TrimPrefix(line, "## ")
	case line != "":
		p.before = line
	}
	return nil
}

// named finds the file's name at the end of the line before a block: Write `name`:
var named = regexp.MustCompile("`([^`]+)`:$")

func (p *parser) close() error {
	step := *p.block
	p.block = nil
	switch p.language {
	case commands:
		p.page.Steps = append(p.page.Steps, step)
		return nil
	case output:
		return p.expect(step.Text)
	}
	name := named.FindStringSubmatch(p.before)
	if name == nil || !filepath.IsLocal(name[1]) {
		return fmt.Errorf("the line before a block that is neither %s nor %s must end with the name of its file and a colon, and this %q block has %q",
			commands, output, p.language, p.before)
	}
	step.File = name[1]
	p.page.Steps = append(p.page.Steps, step)
	p.before = "" // A second block is a second file.
	return nil
}

// expect makes text what the commands before it must print.
func (p *parser) expect(text string) error {
	if len(p.page.Steps) == 0 {
		return fmt.Errorf("nothing was run that could print this")
	}
	last := &p.page.Steps[len(p.page.Steps)-1]
	if last.File != "" || last.Prints != nil {
		return fmt.Errorf("a %s block must follow the %s block that prints it", output, commands)
	}
	last.Prints = &text
	return nil
}
