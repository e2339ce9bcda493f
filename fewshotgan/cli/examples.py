"""Examples, as `--help` prints them below each command."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "advise": ("advise my-photos/", "advise my-photos/ --gan my-source.safetensors --json"),
    "adapt": (
        "adapt --images my-photos/ --out runs/mine",
        "adapt --images my-photos/ --gan fashion-stylegan2 --method adam --iterations 800 --out runs/adam",
        "adapt --images fashion/sandal --n 10 --gan fashion-stylegan2 --option learning_rate=0.001 --out runs/sandal",
    ),
    "sample": (
        "sample runs/mine/my-photos-freezed.safetensors --n 64 --out sheet.png",
        "sample runs/mine/my-photos-freezed.safetensors --seeds 0-63,70 --out faces/",
        "sample runs/mine/my-photos-freezed.safetensors --frames 240 --fps 30 --size 512 --out walk.mp4",
    ),
    "evaluate": (
        "evaluate runs/mine/my-photos-freezed.safetensors --images my-photos/",
        "evaluate runs/mine/my-photos-freezed.safetensors --images ten/ --reference three-hundred/ --json",
        "evaluate runs/thumbs/thumbs-freezed.safetensors --images avatars/thumbs --shots 10",
    ),
    "project": (
        "project avatars-stylegan2 --image me.jpg --out me/",
        "project avatars-stylegan2 --image me.jpg --adapted runs/mine/my-photos-freezed.safetensors --out me/",
    ),
    "export": ("export avatars-stylegan2 --to onnx --out avatars.onnx",),
    "pretrain": (
        "pretrain fashion-stylegan2 --minutes 60 --out runs/pretrain",
        "pretrain own --images my-photos/ --minutes 60 --out runs/own",
    ),
    "record": ("record transfergan-table2 --minutes 25 --workers 2",),
    "tables": ("tables", "tables adaptation-10-shot"),
    "claims": ("claims", "claims --json"),
    "bench": ("bench check",),
    "proximity": ("proximity avatars/personas --picture distances.png", "proximity --target my-photos/"),
    "methods": ("methods", "methods freezed"),
    "gans": ("gans", "gans --layouts"),
    "domains": ("domains",),
    "completion": (
        "completion bash > ~/.local/share/bash-completion/completions/fewshotgan",
        "completion zsh > ~/.zfunc/_fewshotgan",
    ),
}
