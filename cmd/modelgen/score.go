package main

import (
	"context"
	"fmt"
	"io"
)

func score(ctx context.Context, out io.Writer, films []Film, path string) error {
	return fmt.Errorf("not yet")
}
