module github.com/roadkata/roadkata/stage4

go 1.26.0
