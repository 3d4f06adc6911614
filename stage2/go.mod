module github.com/roadkata/roadkata/stage2

go 1.26.0
