module github.com/roadkata/roadkata/stage3

go 1.26.0
