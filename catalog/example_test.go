package catalog_test

import (
	"context"
	"fmt"

	"kassa/catalog"
	"kassa/worker"
)

// Films in memory are found by a description in words, in either language.
func ExampleInMemory() {
	ctx := context.Background()
	model, err := worker.Open(ctx, worker.Options{}) // the built-in one
	check(err)
	defer model.Close()
	movies, err := catalog.Shipped()
	check(err)
	films, err := catalog.InMemory(ctx, movies, model)
	check(err)

	for _, text := range []string{"a man on an island talks to a volleyball", "присяжные спорят в душной комнате"} {
		question := films.Read(text)
		vector, err := model.Embed(ctx, question.Embedded())
		check(err)
		found, err := films.Find(ctx, catalog.Query{Text: question.Text, Conditions: question.Filters,
			Model: vector.ModelVersion, Vector: vector.Embedding, Limit: 1})
		check(err)
		for _, match := range found.Matches {
			movie, _ := films.Movie(match.MovieID)
			fmt.Println(movie.Title, movie.Year)
		}
	}

	// Output:
	// Cast Away 2000
	// 12 Angry Men 1957
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
