package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Errors of a change of models.
var (
	ErrIncomplete = errors.New("films have no vector of the model yet")
	ErrInUse      = errors.New("questions are asked of the model")
)

// Model is a model whose vectors the catalogue has.
type Model struct {
	Version  string
	Dims     int
	Films    int     // that have a vector of it
	Complete bool    // every film has had one: questions are compared with them
	Used     bool    // questions are asked of it
	Weight   float64 // what its vectors count beside words
}

// Models lists the models whose vectors the catalogue has.
func (c *Catalogue) Models() []Model {
	v := c.now.Load()
	var list []Model
	for _, version := range slices.Sorted(maps.Keys(v.vectors)) {
		m := v.vectors[version]
		list = append(list, Model{version, m.dims(), m.len(), v.finished[version], version == v.used, v.weightsFor(version).Vectors})
	}
	return list
}

// Model is the version of the model that questions are asked of, "" where that is left to
// the workers.
func (c *Catalogue) Model() string { return c.now.Load().used }

// Compares reports whether questions are compared with the vectors of a model.
func (c *Catalogue) Compares(model string) bool { return c.now.Load().finished[model] }

// Use has questions asked of a model, in all processes, within a second; with "" that is
// left to the workers. Vectors of other models stay: answers of workers that do not have
// the model are compared with them, and one can go back at any moment. A model
// of which a film lacks a vector is refused with ErrIncomplete.
func (c *Catalogue) Use(ctx context.Context, model string) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.refresh(ctx); err != nil {
		return fmt.Errorf("use model %s: %w", model, err)
	}
	v := c.now.Load()
	if vectors, ok := v.vectors[model]; model != "" && (!ok || !v.finished[model] || vectors.len() < len(v.movies)) {
		have := 0
		if ok {
			have = vectors.len()
		}
		return fmt.Errorf("use model %s: %w: %d of %d have one", model, ErrIncomplete, have, len(v.movies))
	}
	if err := c.store.use(ctx, model); err != nil {
		return fmt.Errorf("use model %s: %w", model, err)
	}
	return c.refresh(context.WithoutCancel(ctx))
}

// weightMost is the most that vectors may count: nothing but they would then.
const weightMost = 10

// ErrWeight means that a weight is not from 0 to 10.
var ErrWeight = errors.New("the weight of vectors is from 0 to 10")

// Weigh sets what a model's vectors count beside words, in all processes, within a second:
// 1 is as much as the words. Errors: ErrWeight, ErrModel, those of the database.
func (c *Catalogue) Weigh(ctx context.Context, model string, weight float64) error {
	if !(weight >= 0 && weight <= weightMost) { // so that no number is refused too
		return fmt.Errorf("weigh model %s: %w, and not %v", model, ErrWeight, weight)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	there, err := c.store.weigh(ctx, model, weight)
	if err == nil && !there {
		err = ErrModel
	}
	if err != nil {
		return fmt.Errorf("weigh model %s: %w", model, err)
	}
	return c.refresh(context.WithoutCancel(ctx))
}

// weightsFor are the weights for questions that are asked of a model.
func (v *view) weightsFor(model string) Weights {
	weights := DefaultWeights
	if weight, ok := v.weights[model]; ok {
		weights.Vectors = weight
	}
	return weights
}

// Drop deletes the vectors of a model, and returns how many there were. Answers of workers
// that still have it are then unknown. A model that the catalogue does not have is refused
// with ErrModel.
func (c *Catalogue) Drop(ctx context.Context, model string) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.refresh(ctx); err != nil {
		return 0, fmt.Errorf("drop the vectors of model %s: %w", model, err)
	}
	v := c.now.Load()
	if _, known := v.vectors[model]; !known {
		return 0, fmt.Errorf("drop the vectors of model %s: %w", model, ErrModel)
	}
	if v.used == model {
		return 0, fmt.Errorf("drop the vectors of model %s: %w", model, ErrInUse)
	}
	n, err := c.store.deleteModel(ctx, model)
	if err != nil {
		return 0, fmt.Errorf("drop the vectors of model %s: %w", model, err)
	}
	return n, errors.Join(c.refresh(context.WithoutCancel(ctx)), c.store.maintain(ctx))
}
