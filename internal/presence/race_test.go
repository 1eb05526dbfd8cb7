//go:build race

package presence_test

const usualHistories = 500
