"""The quick subset, `pytest -m quick`: what catches most mistakes, in less than a minute, from every folder of tests.

A line of the list is a file, all of whose tests are taken, or one test of a file. Of a test for each instruction set
the one in use is taken. Nothing is collected as long as a line names what is not there, or a folder has no line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from schuss import _core

TESTS = Path(__file__).parent
ISA = _core.config()["isa"]

QUICK = [
    "attack/test_attack.py::test_a_few_of_each",
    "callbacks/test_checkpoint.py::test_best",
    "callbacks/test_csv_logger.py::test_rows",
    "callbacks/test_layer_statistics.py::test_numbers",
    "callbacks/test_time_limit.py::test_callbacks_are_told_of_beginning_and_end",
    "cli/test_cli.py::test_bad_options",
    "cli/test_cli.py::test_mixed_columns_there_and_back",
    "cli/test_cli.py::test_named_data_sets",
    "cli/test_cli.py::test_options",
    "cli/test_datasets.py",
    "cli/test_rows.py",
    "cli/test_scores.py",
    "cli/test_version1_columns.py",
    "cli/test_version1_files.py",
    "cli/test_version1.py",
    "comparison/test_results.py",
    "comparison/test_search.py",
    "core/test_activations.py::test_activation_same_bits_everywhere",
    "core/test_activations.py::test_derivative_matches_twin",
    "core/test_activations.py::test_forward_matches_twin",
    "core/test_activations.py::test_special_values",
    "core/test_calls.py",
    "core/test_caller_writes.py",
    "core/test_core.py",
    "core/test_gemm.py::test_empty_products",
    "core/test_gemm.py::test_nan_and_infinity_reach_exactly_what_they_should",
    "core/test_gemm.py::test_small_sizes",
    "core/test_init.py",
    "core/test_losses.py::test_fit_with_each",
    "core/test_losses.py::test_same_bits_everywhere",
    "core/test_losses.py::test_targets_are_checked",
    "core/test_losses.py::test_value_and_gradient",
    "core/test_threads.py::test_affinity_bounds_the_default",
    "core/test_threads.py::test_bits_do_not_depend_on_the_number_of_threads",
    "core/test_threads.py::test_import_starts_no_thread_and_training_starts_what_it_needs",
    "core/test_threads.py::test_kernels_flush_denormals_on_every_thread",
    "core/test_threads.py::test_two_python_threads_train_at_once",
    "guidance/test_find_lr.py::test_errors_name_the_argument",
    "guidance/test_find_lr.py::test_the_sign_of_the_loss_does_not_matter",
    "guidance/test_find_lr.py::test_limits_are_kept",
    "interchange/test_torch_images.py::test_there_and_back",
    "interchange/test_torch_modules.py::test_recurrent_layers",
    "layers/test_api.py",
    "layers/test_bits.py::test_threads_and_instruction_sets",
    "layers/test_gradients.py",
    "layers/test_trees.py::test_values_and_gradients",
    "minimization/test_minimize.py::test_an_optimum_at_the_bounds",
    "minimization/test_minimize.py::test_every_method",
    "minimization/test_scipy.py::test_a_method_is_an_object",
    "minimization/test_scipy.py::test_without_scipy",
    "network/test_carried_state.py",
    "network/test_dense_bits.py::test_losses",
    "network/test_dense_bits.py::test_single_calls",
    "network/test_fit.py",
    "network/test_gradients.py::test_finite_differences",
    "network/test_gradients.py::test_matches_twin",
    "network/test_history.py",
    "network/test_interrupts.py::test_train_step",
    "network/test_named_inputs.py",
    "network/test_penalty.py::test_against_numpy",
    "network/test_save.py",
    "network/test_save_version1.py",
    "network/test_training_bits.py::test_saved_and_loaded",
    "network/test_training_bits.py::test_train_step_is_its_parts",
    "optim/test_api.py",
    "optim/test_arrays.py::test_adamw_for_what_is_no_matrix",
    "optim/test_arrays.py::test_stages",
    "optim/test_averaging.py::test_ema",
    "optim/test_averaging.py::test_goes_on",
    "optim/test_averaging.py::test_in_fit",
    "optim/test_averaging.py::test_lookahead",
    "optim/test_averaging.py::test_sam",
    "optim/test_foreign.py::test_dlpack",
    "optim/test_foreign.py::test_ndarrays_are_taken_as_they_are",
    "optim/test_gradients_again.py",
    "optim/test_group_writes.py::test_groups",
    "optim/test_group_writes.py::test_numbers",
    "optim/test_interrupts.py::test_accumulate",
    "optim/test_interrupts.py::test_averages_applied",
    "optim/test_interrupts.py::test_sam",
    "optim/test_lbfgs.py::test_closures_of_no_use",
    "optim/test_lbfgs.py::test_direction_as_twin",
    "optim/test_lbfgs.py::test_finds_the_optimum",
    "optim/test_lbfgs.py::test_runs_as_twin",
    "optim/test_lbfgs.py::test_state_dict_goes_on_bit_for_bit",
    "optim/test_rows.py",
    "optim/test_rules.py::test_gradients_of_any_layout",
    "optim/test_rules.py::test_nonfinite_gradient_is_reported",
    "optim/test_rules.py::test_same_bits_as_twin",
    "optim/test_rules_measured.py::test_groups",
    "optim/test_rules_measured.py::test_sums_are_those_of_numpy",
    "optim/test_schedule_free.py",
    "optim/test_soap.py::test_stages",
    "optim/test_soap.py::test_states",
    "optim/test_structure.py",
    "optim/test_torch_states.py",
    "package/test_bad_input.py",
    "package/test_config.py",
    "package/test_quick.py",
    "package/test_readme.py",
    "plots/test_functions.py",
    "plots/test_moving.py::test_a_page_needs_nothing_else",
    "plots/test_paths.py::test_points_are_those_of_the_formulas",
    "plots/test_themes.py",
    "recommend/test_metrics.py::test_values_are_those_of_the_definition",
    "recommend/test_pairwise_bits.py::test_each_loss",
    "recommend/test_ranker.py::test_lightfm_names",
    "recommend/test_ranker.py::test_resume_is_exact",
    "recommend/test_ranking.py",
    "schedules/test_saved.py",
    "schedules/test_schedules.py",
    "sklearn/test_additions.py::test_class_weight_multiplies_sample_weight",
    "sklearn/test_additions.py::test_losses_of_classes",
    "sklearn/test_additions.py::test_losses_of_numbers",
    "sklearn/test_estimators.py::test_bad_arguments",
    "sklearn/test_estimators.py::test_pickled_it_goes_on_as_if_it_had_not_been",
    "sklearn/test_estimators.py::test_resumed_is_the_same_to_the_last_bit",
    "sklearn/test_estimators.py::test_sparse_is_as_dense",
    "sklearn/test_messages.py",
    "sklearn/test_same_results.py::test_single_precision_is_kept",
    "sklearn/test_sequences.py::test_every_form_of_rows_is_the_same",
    "sklearn/test_sequences.py::test_warm_start_goes_on",
    "tables/test_encoding.py",
    "tables/test_recipes.py::test_each_learns",
    "tables/test_faults.py",
    "torch/test_against_torch.py::test_arguments_are_torchs",
    "torch/test_against_torch.py::test_states_have_torchs_words_and_shapes",
]


def stale() -> list[str]:
    """The lines whose file is not there, and the folders of tests that have no line."""
    files = {line.partition("::")[0] for line in QUICK}
    missing = [f"there is no tests/{file}" for file in sorted(files) if not (TESTS / file).is_file()]
    folders = {path.parent.name for path in TESTS.glob("*/test_*.py")} - {file.partition("/")[0] for file in files}
    return missing + [f"nothing of tests/{folder} is quick" for folder in sorted(folders)]


def mark(items: list[pytest.Item]) -> None:
    """Marks those that are quick; raises UsageError where the list does not fit the tests."""
    wrong = stale()
    modules = {}
    for item in items:
        if not isinstance(item, pytest.Function) or not item.path.is_relative_to(TESTS):
            continue
        file = item.path.relative_to(TESTS).as_posix()
        modules[file] = item.module
        listed = file in QUICK or f"{file}::{item.originalname}" in QUICK
        if listed and (not hasattr(item, "callspec") or item.callspec.params.get("isa", ISA) == ISA):
            item.add_marker("quick")
    for line in QUICK:
        file, _, name = line.partition("::")
        if name and file in modules and not hasattr(modules[file], name):
            wrong.append(f"tests/{file} has no {name}")
    if wrong:
        raise pytest.UsageError("the list in tests/quick.py is wrong: " + "; ".join(wrong))
