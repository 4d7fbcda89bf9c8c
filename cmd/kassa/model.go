package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"kassa/internal/app"
	"kassa/internal/process"
	"kassa/worker"
	"kassa/worker/modelfile"
	"kassa/worker/models"
)

// modelCommand keeps the models of the data folder.
type modelCommand struct {
	Data   string      `default:"data" placeholder:"DIR" help:"Folder with all that Kassa keeps; its folder models has the models, and models.lock, which pins them. Default: ${default}."`
	Add    addModel    `cmd:"" help:"Bring a model in from a folder or from Hugging Face, have it prove itself, and pin its revision and files. Then --model NAME has a process use it."`
	List   listModels  `cmd:"" help:"List the models, with what is pinned."`
	Check  checkModel  `cmd:"" help:"Compare a model's files with their SHA-256, and have it prove itself: its check texts must have their known vectors within a minute."`
	Remove removeModel `cmd:"" help:"Delete a model, and what pins it. Vectors in the catalogue stay, see catalog use."`
}

func (m modelCommand) folder() models.Folder {
	return models.Folder(app.Storage{Folder: m.Data}.Models())
}

type addModel struct {
	QuestionPrefix string `help:"What the model wants before every question, such as 'query: '."`
	FilmPrefix     string `help:"What the model wants before every text of a film, such as 'passage: '."`
	PiecesMax      int    `placeholder:"N" help:"Longest text, in pieces, that the model was trained with. Default: what its files say."`
	ONNX           string `name:"onnx" placeholder:"PATH" help:"Path of the graph in the repository. Default: onnx/model.onnx or model.onnx."`
	Checks         string `type:"existingfile" placeholder:"FILE" help:"JSON list of texts with their unit vectors, [{\"text\": …, \"vector\": […]}], that another program computed from the same files. The model must give the same. Default: those of the source."`
	Name           string `arg:"" help:"Name that the model gets here: small Latin letters, digits, dots and hyphens."`
	Source         string `arg:"" help:"Folder with an ONNX model and its tokenizer.json, or owner/name@revision at Hugging Face (HF_TOKEN and HF_ENDPOINT are heeded)."`
}

func (a addModel) Run(ctx context.Context, c *console, line *commandLine) error {
	how := models.Adding{ONNX: a.ONNX, Use: modelfile.Use{QuestionPrefix: a.QuestionPrefix, FilmPrefix: a.FilmPrefix, PiecesMax: a.PiecesMax}}
	if a.Checks != "" {
		content, err := os.ReadFile(a.Checks)
		if err != nil {
			return err
		}
		if json.Unmarshal(content, &how.Checks) != nil || len(how.Checks) == 0 {
			return wrongArgument("--checks: %s is no JSON list of texts with their vectors", a.Checks)
		}
	}
	added, err := line.Model.folder().Add(ctx, a.Name, a.Source, how)
	if errors.Is(err, models.ErrName) || errors.Is(err, models.ErrSource) {
		return wrongArgument("%w", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %s, %d dimensions, %d files pinned in %s.\n", a.Name, added.Card.Version, added.Card.Dimensions, len(added.Files), models.LockFile)
	if added.Proved {
		fmt.Fprintf(c.out, "It gives the known vectors of %d check texts.\n", len(added.Card.Checks))
	} else {
		fmt.Fprintln(c.out, "The source has no known vectors, so the ones that were computed here are taken: they show later damage, and not that this program runs the model rightly. Give --checks to know.")
	}
	return nil
}

type listModels struct{}

func (listModels) Run(c *console, line *commandLine) error {
	folder := line.Model.folder()
	pins, err := folder.Pins()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVERSION\tDIMENSIONS\tCHECKS\tSOURCE\tREVISION")
	for _, name := range slices.Sorted(maps.Keys(pins)) {
		card, err := folder.Card(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%s\n", name, card.Version, card.Dimensions, len(card.Checks), pins[name].Source, pins[name].Revision)
	}
	return table.Flush()
}

type checkModel struct {
	Name string `arg:"" help:"Name of the model."`
}

func (k checkModel) Run(ctx context.Context, c *console, line *commandLine) error {
	model, err := line.Model.folder().Open(ctx, k.Name, worker.Options{})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: its files are the pinned ones, and it gives the known vectors (%s, backend %s).\n", k.Name, model.ModelVersion(), worker.Backend)
	return model.Close()
}

type removeModel struct {
	Name string `arg:"" help:"Name of the model."`
}

func (r removeModel) Run(c *console, line *commandLine) error {
	if err := line.Model.folder().Remove(r.Name); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s is removed.\n", r.Name)
	return nil
}

// builtIn names the model that is part of the program.
const builtIn = "built-in"

// openModels loads models that were added to a folder, that are in folders of their own, or
// the one that is built in, which is unpacked: for "" into a folder that goes when it is closed.
func (m modelSettings) openModels(ctx context.Context, added, unpackTo string) (opened worker.Models, err error) {
	names := m.Model
	if len(names) == 0 {
		names = []string{builtIn}
	}
	folder := models.Folder(added)
	pins, err := folder.Pins()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		var e *worker.Embedder
		switch _, pinned := pins[name]; {
		case pinned:
			e, err = folder.Open(ctx, name, worker.Options{})
		case name == builtIn:
			e, err = worker.Open(ctx, worker.Options{UnpackTo: unpackTo})
		default:
			e, err = worker.Open(ctx, worker.Options{ModelDir: name})
		}
		if err != nil {
			return nil, errors.Join(err, opened.Close())
		}
		opened = append(opened, e)
	}
	return opened, nil
}

// opening is openModels for a process, which opens its models when their turn comes.
func (m modelSettings) opening(s app.Storage) process.OpenModels {
	return func(ctx context.Context) (worker.Models, error) { return m.openModels(ctx, s.Models(), s.Models()) }
}
