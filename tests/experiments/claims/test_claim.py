def test_files_are_called_after_claim_data_and_what_was_asked_for(stand_in, open_on_digits):
    assert open_on_digits(stand_in, limit_train_batches=None).slug == "stand-in_digits_2-epochs"
    assert open_on_digits(stand_in, epochs=3, limit_train_batches=4).slug == "stand-in_digits_3-epochs_4-steps"


def test_results_of_other_weights_have_other_names(open_on_digits, digits_runs):
    from alexnet.experiments.claims import CLAIMS

    first, second = digits_runs
    slugs = [
        open_on_digits(CLAIMS["ten-views"], weights=(weights,)).slug
        for weights in (first, second, f"{first}/last.safetensors")
    ]
    assert slugs == ["ten-views_digits_seed-0", "ten-views_digits_seed-1", "ten-views_digits_seed-0-last"]
    assert open_on_digits(CLAIMS["ensemble"], weights=(first, second)).slug == "ensemble_digits_seed-0_seed-1"
