#!/bin/bash
# a batch job with one GPU: sbatch nvidia-smi-job.sh, then squeue, then cat slurm-*.out
#SBATCH --job-name=nvidia-smi
#SBATCH --gres=gpu:1
#SBATCH --output=slurm-%j.out
echo "host $(hostname -s), CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"
if command -v nvidia-smi >/dev/null; then
    nvidia-smi -L
fi
sleep "${SECONDS_TO_HOLD:-0}"
