package formats

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"kassa/catalog"
)

// Limits of what is read at once: a file with other content than its name suggests must
// not fill the memory.
const (
	lineMax        = 1 << 20 // bytes of a line
	recordMax      = 1 << 20 // bytes of a record of several lines
	recordLinesMax = 200
)

// input is a file that is read once.
type input struct {
	name    string
	size    int64
	read    atomic.Int64 // bytes of the stored, possibly compressed file
	content *bufio.Reader
	file    *os.File
	lines   int      // read so far
	waiting []string // lines to be read again
}

// openInput opens a file, compressed or not, and skips a byte order mark.
func openInput(name string) (*input, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	in := &input{name: name, file: file}
	if info, err := file.Stat(); err == nil {
		in.size = info.Size()
	}
	var content io.Reader = counter{file, &in.read}
	if strings.HasSuffix(strings.ToLower(name), ".gz") {
		if content, err = gzip.NewReader(content); err != nil {
			return nil, errors.Join(fmt.Errorf("read %s: %w", name, err), file.Close())
		}
	}
	in.content = bufio.NewReaderSize(content, 1<<16)
	if mark, _ := in.content.Peek(3); string(mark) == "\ufeff" {
		in.content.Discard(3)
	}
	return in, nil
}

func (in *input) close() error { return in.file.Close() }

type counter struct {
	io.Reader
	n *atomic.Int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// here is the last line that was read.
func (in *input) here() row { return row{in, in.lines} }

// line reads a line without its end. One that is too long is a catalog.Problem, and
// the next call reads the next one.
func (in *input) line() (string, error) {
	in.lines++
	if len(in.waiting) > 0 {
		text := in.waiting[0]
		in.waiting = in.waiting[1:]
		return text, nil
	}
	var text strings.Builder
	long := false
	for {
		part, err := in.content.ReadSlice('\n')
		if long = long || text.Len()+len(part) > lineMax; !long {
			text.Write(part)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case isEnd(err) && text.Len() == 0 && !long:
			return "", io.EOF
		case err != nil && !isEnd(err):
			return "", fmt.Errorf("read %s: %w", in.name, err)
		case long:
			return "", in.here().problem("the line has more than %d KiB", lineMax>>10)
		}
		return strings.TrimRight(text.String(), "\r\n"), nil
	}
}

// unread makes lines be read again, after the one at which they began.
func (in *input) unread(lines []string) {
	in.waiting = append(lines, in.waiting...)
	in.lines -= len(lines)
}

// records are the rows of a table with a header.
type records struct {
	in      *input
	columns map[string]int
	width   int
	next    func() (fields []string, at row, err error)
}

// record is one row of a table.
type record struct {
	*records
	fields []string
	at     row
}

// get is the value of a column, "" for none.
func (r record) get(column string) string {
	if i, ok := r.columns[column]; ok {
		return r.fields[i]
	}
	return ""
}

// csvRecords reads a table of values separated by commas, in quotation marks where they
// hold a comma, a mark or a line's end.
func csvRecords(in *input, needs ...string) (*records, error) {
	feed := &recordFeed{in: in}
	reader := csv.NewReader(feed)
	reader.FieldsPerRecord = -1
	return header(in, needs, func() ([]string, row, error) {
		fields, err := reader.Read()
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, feed.at, feed.at.problem("is no row of values separated by commas: %v", wrong.Err)
		}
		return fields, feed.at, err
	})
}

// tsvRecords reads a table of values separated by tabs, without quotation marks, in
// which \N means no value.
func tsvRecords(in *input, needs ...string) (*records, error) {
	return header(in, needs, func() ([]string, row, error) {
		line, err := in.line()
		if err != nil {
			return nil, in.here(), err
		}
		fields := strings.Split(line, "\t")
		for i, f := range fields {
			if f == `\N` {
				fields[i] = ""
			}
		}
		return fields, in.here(), nil
	})
}

func header(in *input, needs []string, next func() ([]string, row, error)) (*records, error) {
	fields, _, err := next()
	if err != nil && !isEnd(err) {
		return nil, fmt.Errorf("read %s: its first line: %w", in.name, err)
	}
	r := &records{in, make(map[string]int), len(fields), next}
	for i, name := range fields {
		r.columns[strings.TrimSpace(name)] = i
	}
	for _, name := range needs {
		if _, ok := r.columns[name]; !ok {
			return nil, fmt.Errorf("read %s: its first line does not name the column %s", in.name, name)
		}
	}
	return r, nil
}

// each calls do with every row, and with the problem of every invalid row. It returns
// false as soon as do does.
func (r *records) each(do func(record, error) bool) {
	for {
		fields, at, err := r.next()
		if isEnd(err) {
			return
		}
		if err == nil {
			err = r.check(fields, at)
		}
		if !do(record{r, fields, at}, err) {
			return
		}
		if _, isRow := errors.AsType[catalog.Problem](err); err != nil && !isRow {
			return
		}
	}
}

func (r *records) check(fields []string, at row) error {
	if len(fields) != r.width {
		return at.problem("has %d columns, and the first line has %d", len(fields), r.width)
	}
	for _, f := range fields {
		if !utf8.ValidString(f) {
			return at.problem("is not UTF-8: write the file in it (iconv -f CP1251 -t UTF-8, if it is in Windows-1251)")
		}
	}
	return nil
}

// recordFeed gives a csv.Reader one record at each Read. So the line of each is known,
// and an unclosed quotation mark affects only its line and not the rest of the file.
type recordFeed struct {
	in   *input
	at   row // of the last record
	rest string
}

func (f *recordFeed) Read(p []byte) (int, error) {
	if f.rest == "" {
		text, err := f.record()
		if err != nil {
			return 0, err
		}
		f.rest = text + "\n"
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// record reads lines until their quotation marks are closed.
func (f *recordFeed) record() (string, error) {
	first, err := f.in.line()
	f.at = f.in.here()
	if err != nil {
		return "", err
	}
	text, open := first, strings.Count(first, `"`)%2 == 1
	var more []string
	for open {
		line, err := f.in.line()
		if isEnd(err) {
			f.in.lines-- // there was no line
		} else {
			more = append(more, line) // "" for a line that is too long
		}
		if err != nil || len(text)+len(line) > recordMax || len(more) > recordLinesMax {
			f.in.unread(more)
			return "", f.at.problem("has a quotation mark that is not closed")
		}
		text += "\n" + line
		open = open != (strings.Count(line, `"`)%2 == 1)
	}
	return text, nil
}
