"""Package of verl_dots; `scripts/quickstart.sh` installs it with everything a CPU needs."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1] for line in (HERE / "verl_dots/__init__.py").read_text().splitlines() if "__version__" in line
)

setup(
    name="verl-dots",
    version=VERSION,
    description="Data-efficient reinforcement learning for language models, as an extension of verl",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["verl_dots", "verl_dots.*"]),
    package_data={
        "verl_dots.conf": ["*.yaml", "*/*.yaml"],
        "verl_dots.evidence": ["papers.yaml"],
        "verl_dots.training": ["models.yaml"],
    },
    install_requires=[
        # torch is not named: the extras, the machine or scripts/install.sh choose its build (CPU or CUDA).
        "verl==0.9.1",
        # What verl 0.9.1's V1 trainer imports and its plain requirements leave out.
        "TransferQueue==0.1.11",
        "tensordict==0.10.0",
        "ray[default]>=2.53,<3",
        "transformers==5.9.0",  # which verl pairs with vLLM 0.24
        "cachetools",
        "datasets",
        "fastapi",
        "httpx",
        "msgspec",
        "orjson",
        "pyzmq",
        "uvicorn",
        # Ours.
        "jinja2",
        "math-verify==0.9.0",
        "matplotlib",
        "pebble>=5.1",
        "psutil",
        "rich",
        "safetensors",
        "scipy>=1.15",
        "tensorboard",
        "tqdm",
    ],
    # flash-attn and SGLang are not here: pip cannot install them so. scripts/install_gpu.sh does.
    extras_require={
        "vllm": ["torch==2.11.0", "torchvision==0.26.0", "torchaudio==2.11.0", "vllm==0.24.0"],
        "test": ["hypothesis", "pytest>=8", "pytest-timeout", "pytest-xdist"],
    },
)
